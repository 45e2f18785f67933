package cose

// Labels of the IANA registry "COSE Key Common Parameters" (RFC 9052, Section 7.1).
const (
	keyLabelKty    = 1
	keyLabelKid    = 2
	keyLabelAlg    = 3
	keyLabelKeyOps = 4
	keyLabelBaseIV = 5
)

// Labels of the IANA registry "COSE Key Type Parameters" for the key types OKP and
// EC2 (RFC 9053, Sections 7.1 and 7.2).
const (
	keyLabelCrv = -1
	keyLabelX   = -2
	keyLabelY   = -3 // EC2 only
	keyLabelD   = -4 // private part: never in a credential
)

// Key operations (RFC 9052, Table 5).
const (
	keyOpSign       = 1
	keyOpVerify     = 2
	keyOpDeriveKey  = 7
	keyOpDeriveBits = 8
)

// Labels of the IANA registry "COSE Header Parameters" (RFC 9052, Section 3.1).
const (
	headerLabelAlg  = 1
	headerLabelCrit = 2
	headerLabelKid  = 4
	headerLabelIV   = 5
)

// Keys of the IANA registry "CBOR Web Token (CWT) Claims" (RFC 8392, Section 4;
// RFC 8747, Section 3.1) and of "CWT Confirmation Methods" (RFC 8747, Section 3.2).
const (
	claimSub        = 2
	claimExp        = 4
	claimNbf        = 5
	claimCnf        = 8
	cnfLabelCOSEKey = 1
)

// CBOR tags around a COSE_Sign1 (RFC 9052, Section 2), around a CWT (RFC 8392,
// Section 6), around an unprotected CWT Claims Set (RFC 9781), and around a MAC
// address (RFC 9542, Section 2.4).
const (
	tagSign1 = 18
	tagMAC   = 48
	tagCWT   = 61
	tagUCCS  = 601
)
