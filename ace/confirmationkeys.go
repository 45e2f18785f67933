package ace

// Keys of the registry CWT Confirmation Methods (RFC 8747, Section 7.2; RFC 9203, Section 9.5).
const (
	cnfCOSEKey      = 1 // COSE_Key, map
	cnfEncryptedKey = 2 // Encrypted_COSE_Key
	cnfKID          = 3 // kid, bstr
	cnfOSC          = 4 // osc, map
)
