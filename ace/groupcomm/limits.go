package groupcomm

// Local limits on what a parser accepts. The texts set none; each bounds what a peer can make this side keep.
const (
	maxNonce      = 64   // N_C, N_S, N_KDC: 8 bytes are recommended, 32 are what a TLS exporter gives
	maxIdentifier = 32   // Gid and Sender ID: a Sender ID has at most 7 bytes, a Gid travels in each message
	maxCredential = 8192 // one authentication credential, a certificate chain included
	maxEvidence   = 512  // a signature with RSA 4096
	maxURI        = 1024 // control_uri, guri
	maxFilter     = 4096 // entries of one filter of get_creds
	maxCapability = 8    // capabilities of one algorithm or key type, and arrays of them
	maxInfo       = 256  // entries of sign_info, ecdh_info, kdc_dh_creds, and names in one entry
)
