// Package wire reads and writes the flat CBOR maps with integer keys that the messages of the ACE framework consist of
// (RFC 9200, Section 5; RFC 9594, Section 8).
//
// It is strict where a lenient decoder would guess: a value has the type its parameter is registered with or the message is
// malformed, a null is not an absent byte string, a key occurs once. It is tolerant where the texts ask for it: parameters a
// message does not know are skipped (RFC 9594, Section 4.1.2).
//
// A [Reader] keeps the first fault it meets, so that a parser states its fields one after the other and asks for the fault once:
//
//	r := wire.NewReader(payload)
//	req.Scope = r.Bytes(3)
//	req.Nonce = r.Bytes(6)
//	r.Require(3, 6)
//	return r.Err()
//
// A [Writer] sorts by key, so that equal messages have equal bytes (RFC 8949, Section 4.2.1).
package wire
