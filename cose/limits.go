package cose

// Local limits of what is parsed. They bound the work that one input can cause.
const (
	// maxCredential is the length of a credential as delivered, in bytes: room for a
	// chain of eight large certificates. A credential enters the additional data of
	// every message, so a group uses far smaller ones.
	maxCredential = 1 << 16
	// maxChain is the number of certificates in a chain or bag.
	maxChain = 16
	// maxSerial is the length of a certificate's serial number in bytes (RFC 5280,
	// Section 4.1.2.2).
	maxSerial = 20
	// maxTime is the last second of the year 9999, after which certificates have no
	// times (RFC 5280, Section 4.1.2.5).
	maxTime = 253402300799
)
