package ace

// Keys of the registry OAuth Parameters CBOR Mappings, as they occur in maps of application/ace+cbor at /token and /authz-info
// (RFC 9200, Section 8.10; RFC 9201, Section 6; RFC 9203, Section 9.2; RFC 9594, Section 11.4; ace-key-groupcomm-oscore,
// Section 17.2). Claims, hints and introspection have registries of their own, in which some of these numbers mean other things.
const (
	paramAccessToken       = 1  // bstr
	paramExpiresIn         = 2  // uint, seconds
	paramReqCnf            = 4  // map
	paramAudience          = 5  // tstr
	paramCnf               = 8  // map
	paramScope             = 9  // tstr / bstr
	paramError             = 30 // int
	paramErrorDescription  = 31 // tstr
	paramErrorURI          = 32 // tstr
	paramGrantType         = 33 // uint
	paramTokenType         = 34 // int
	paramProfile           = 38 // int; null in a request
	paramCNonce            = 39 // bstr
	paramNonce1            = 40 // bstr
	paramRSCnf             = 41 // map
	paramNonce2            = 42 // bstr
	paramClientRecipientID = 43 // bstr
	paramServerRecipientID = 44 // bstr
	paramSignInfo          = 45 // null / array
	paramKDCChallenge      = 46 // bstr
	paramECDHInfo          = 47 // null / array
	paramKDCDHCreds        = 48 // null / array
)
