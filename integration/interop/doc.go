// Package interop lets the endpoint speak with libcoap's command-line client
// and server, in both directions, over UDP, to groups too, TCP and DTLS. Where libcoap's
// programs (Debian's libcoap3-bin) are not installed the tests are skipped.
package interop
