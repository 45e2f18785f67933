package groupcomm

// Labels of the OSCORE Security Context Parameters registry, as they occur in a Group_OSCORE_Input_Material object
// (RFC 9203, Section 9.4; ace-key-groupcomm-oscore, Section 17.6). Labels 0 (id) and 1 (version) are not used there.
const (
	ctxMasterSecret  = 2  // ms, bstr
	ctxHKDF          = 3  // hkdf, COSE HMAC algorithm
	ctxAlg           = 4  // alg, COSE AEAD algorithm of the pairwise mode
	ctxSalt          = 5  // salt, bstr
	ctxContextID     = 6  // contextId, bstr: the Gid
	ctxGroupSenderID = 7  // group_senderId, bstr
	ctxCredFormat    = 8  // cred_fmt, COSE header parameter label
	ctxGroupEncAlg   = 9  // gp_enc_alg, COSE encryption algorithm of the group mode
	ctxSignAlg       = 10 // sign_alg, COSE signature algorithm
	ctxSignParams    = 11 // sign_params, capabilities
	ctxECDHAlg       = 12 // ecdh_alg, COSE key agreement algorithm
	ctxECDHParams    = 13 // ecdh_params, capabilities
)
