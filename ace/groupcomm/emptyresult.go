package groupcomm

// EmptyResult is the payload of a response whose result is empty: a CBOR byte string of no bytes (RFC 9594,
// Sections 4.2.1, 4.4.1 and 4.6.1).
const EmptyResult = "\x40"

// IsEmptyResult says whether b is [EmptyResult].
func IsEmptyResult(b []byte) bool { return string(b) == EmptyResult }
