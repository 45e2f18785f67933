// Package decode writes CoAP messages out for people: header and options by
// name, the fields of the OSCORE option and the COSE object it stands for
// (RFC 8613, Section 5), and payloads of CBOR in diagnostic notation (RFC 8949,
// Section 8), with the names of parameters in the formats of ACE. It knows no
// keys and decrypts nothing.
//
// [Datagram] takes one message of UDP or DTLS, [Frame] one of TCP, and [Capture]
// a file of a packet capture. All take any bytes.
package decode
