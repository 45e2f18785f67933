// Package authserver is the Authorization Server: which devices there are, what each may ask for, and the access tokens it got
// (RFC 9200; RFC 9203). It has no sockets; its state is in a keystore.
//
// An operator registers each Group Manager as a resource server ([Service.RegisterRS]) and enrols devices ([Service.Enrol]),
// with grants that say which roles a device may have in which groups; policies give grants to all devices whose names have a form.
// What neither names is denied. A Group Manager that is another process is enrolled ([Service.EnrolRS]) and has an association of
// its own, under which it introspects tokens ([Service.Introspect]) and follows the list of revoked ones ([Service.TRL]).
//
// A device talks to the Authorization Server over OSCORE. Its enrolment secret is static and derives nothing but one-time
// contexts by RFC 8613, Appendix B.2: the endpoint asks [Service.PeerByID] for the secret behind a kid, tells
// [Service.Began] of each established context and [Service.Used] of each request that verified with one. That is how a second
// device with the same secret is noticed: the context of the first is used again after the second's took its place.
// To see that, the endpoint keeps the last superseded context of each client as a tripwire.
//
// [Service.Issue] answers a token request. One transaction draws the number of the input material, the nonce that seals the
// token and the token's own number, stores what was issued and writes the audit record; a refusal is an audit record too.
//
// [Service.Run] forgets what has expired. Keys rotate with an overlap, in which a new one opens and does not seal yet.
//
// # Numbers
//
// The identifier of an input material is unique over all this server ever issues, and never given out twice (RFC 9203,
// Section 3.2). The nonce of a token is a counter and random bytes together, so that it repeats neither by chance nor after
// the store was set back (see docs/adr/0060-token-nonces.md).
package authserver
