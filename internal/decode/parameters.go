package decode

// parameterNames names the integer keys of the map that is the body of a content
// format.
func parameterNames(format uint32) map[int64]string {
	switch format {
	case 19: // RFC 9200, Section 8.10; RFC 9203, Section 9.2
		return map[int64]string{
			1: "access_token", 2: "expires_in", 4: "req_cnf", 5: "audience", 8: "cnf", 9: "scope", 10: "username", 11: "password",
			24: "client_id", 25: "client_secret", 26: "response_type", 27: "redirect_uri", 28: "state", 29: "code", 30: "error",
			31: "error_description", 32: "error_uri", 33: "grant_type", 34: "token_type", 38: "ace_profile", 39: "cnonce",
			40: "nonce1", 41: "rs_cnf", 42: "nonce2", 43: "ace_client_recipientid", 44: "ace_server_recipientid",
		}
	case 61: // RFC 8392, Section 4; RFC 9200, Section 8.14
		return map[int64]string{1: "iss", 2: "sub", 3: "aud", 4: "exp", 5: "nbf", 6: "iat", 7: "cti", 8: "cnf", 9: "scope", 38: "ace_profile", 39: "cnonce", 40: "exi"}
	case 257: // RFC 9290, Section 3; RFC 9594, Section 4.1.2
		return map[int64]string{-1: "title", -2: "detail", -3: "instance", -4: "response-code", -5: "base-uri", -6: "base-lang", -7: "base-rtl", 0: "ace-groupcomm-error"}
	case 261: // RFC 9594, Section 8; draft-ietf-ace-key-groupcomm-oscore, Section 12
		return map[int64]string{
			0: "gid", 1: "gname", 2: "guri", 3: "scope", 4: "get_creds", 5: "client_cred", 6: "cnonce", 7: "gkty", 8: "key", 9: "num",
			10: "ace_groupcomm_profile", 11: "exp", 12: "exi", 13: "creds", 14: "peer_roles", 15: "peer_identifiers",
			16: "group_policies", 17: "kdc_cred", 18: "kdc_nonce", 19: "kdc_cred_verify", 20: "rekeying_scheme", 21: "group_SenderId",
			24: "client_cred_verify", 26: "control_uri", 27: "mgt_key_material", 28: "control_group_uri", 29: "sign_info",
			30: "kdcchallenge", 31: "ecdh_info", 32: "kdc_dh_creds", 33: "sign_enc_key", 34: "stale_node_ids",
		}
	}
	return nil
}
