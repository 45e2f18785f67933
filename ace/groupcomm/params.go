package groupcomm

// Keys of the ACE Groupcomm Parameters registry, as they occur in maps of application/ace-groupcomm+cbor (RFC 9594,
// Section 8; ace-key-groupcomm-oscore, Section 12). The negative keys belong to the administrative interface.
const (
	paramGid              = 0  // array of bstr
	paramGName            = 1  // array of tstr
	paramGURI             = 2  // array of tstr
	paramScope            = 3  // bstr
	paramGetCreds         = 4  // null / array
	paramClientCred       = 5  // bstr
	paramCNonce           = 6  // bstr
	paramGkty             = 7  // int
	paramKey              = 8  // map
	paramNum              = 9  // int
	paramProfile          = 10 // int
	paramExp              = 11 // uint
	paramExi              = 12 // uint
	paramCreds            = 13 // array of bstr
	paramPeerRoles        = 14 // array of uint
	paramPeerIdentifiers  = 15 // array of bstr
	paramGroupPolicies    = 16 // map
	paramKDCCred          = 17 // bstr
	paramKDCNonce         = 18 // bstr
	paramKDCCredVerify    = 19 // bstr
	paramRekeyingScheme   = 20 // int
	paramGroupSenderID    = 21 // bstr
	paramClientCredVerify = 24 // bstr
	paramControlURI       = 26 // tstr
	paramMgtKeyMaterial   = 27 // bstr
	paramControlGroupURI  = 28 // tstr
	paramSignInfo         = 29 // array
	paramKDCChallenge     = 30 // bstr
	paramECDHInfo         = 31 // array
	paramKDCDHCreds       = 32 // array
	paramSignEncKey       = 33 // bstr
	paramStaleNodeIDs     = 34 // array of bstr
)
