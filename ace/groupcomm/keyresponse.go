package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/secret"
)

// KeyResponse gives the current keying material. It answers GET of /ace-group/GROUPNAME, where Key has no SenderID, GET of
// the member's node resource, where it has (RFC 9594, Sections 4.3.2 and 4.8.1), and GET of verif-data, where Key has no
// secret and SignatureEncryptionKey is set (ace-key-groupcomm-oscore, Section 8.3.1).
//
// A notification to observers of /ace-group/GROUPNAME has this shape too, with StaleIDs of the version before.
type KeyResponse struct {
	Key     KeyMaterial
	Version uint64 // num
	Expiry  Expiry
	// StaleIDs is stale_node_ids; nil in a response that is no notification.
	StaleIDs [][]byte
	// RekeyingScheme and MgtKeyMaterial are as in the group's Join Responses.
	RekeyingScheme int64
	MgtKeyMaterial []byte
	// SignatureEncryptionKey is sign_enc_key; nil except for a signature verifier.
	SignatureEncryptionKey secret.Bytes
	// KDCCredential is that of a [RekeyMessage]; only in a notification.
	KDCCredential []byte
}

// Marshal returns the response as a map.
func (k *KeyResponse) Marshal() []byte {
	var w wire.Writer
	w.Int(paramGkty, KeyTypeGroupOSCORE)
	w.Raw(paramKey, k.Key.Marshal())
	w.Uint(paramNum, k.Version)
	w.Int(paramProfile, ProfileGroupOSCORE)
	k.Expiry.write(&w)
	if k.RekeyingScheme != SchemePointToPoint {
		w.Int(paramRekeyingScheme, k.RekeyingScheme)
		w.Bytes(paramMgtKeyMaterial, k.MgtKeyMaterial)
	}
	w.Bytes(paramSignEncKey, k.SignatureEncryptionKey)
	w.BytesArray(paramStaleNodeIDs, k.StaleIDs)
	w.Bytes(paramKDCCred, k.KDCCredential)
	return w.Encode()
}

// ParseKeyResponse reads a response of any of the three kinds. The material is complete for a member, or it has no secret and
// comes with a SignatureEncryptionKey.
func ParseKeyResponse(b []byte) (*KeyResponse, error) {
	r := wire.NewReader(b)
	k := &KeyResponse{}
	k.Key, k.Version = readKey(r)
	k.Expiry = readExpiry(r)
	k.RekeyingScheme, _ = r.Int(paramRekeyingScheme)
	k.MgtKeyMaterial = sized(r, paramMgtKeyMaterial, 0, maxCredential)
	k.SignatureEncryptionKey = sized(r, paramSignEncKey, 1, maxNonce)
	k.StaleIDs = identifiers(r, paramStaleNodeIDs)
	k.KDCCredential = sized(r, paramKDCCred, 1, maxCredential)
	if k.SignatureEncryptionKey == nil {
		k.Key.checkComplete(r)
	} else if k.Key.Gid == nil || k.Key.CredentialFormat == 0 || !k.Key.UsesGroupMode() || k.Key.SignParams == nil {
		r.Failf("verification data without Gid, credential format or algorithms of the group mode")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return k, nil
}
