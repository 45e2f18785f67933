package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// KeyMaterial is a Group_OSCORE_Input_Material object, the value of the parameter key: what a member needs to set up its
// Group OSCORE Security Context (ace-key-groupcomm-oscore, Section 6.3).
//
// Which fields are present depends on the message: a Join Response has all that apply to the group, a rekeying message has
// MasterSecret, Gid and perhaps MasterSalt, verification data have no secret and no SenderID.
type KeyMaterial struct {
	MasterSecret     secret.Bytes          // ms; nil if absent
	MasterSalt       secret.Bytes          // salt; nil if absent, which means empty
	Gid              []byte                // contextId; nil if absent
	SenderID         []byte                // group_senderId; nil if absent: a monitor, or a message that does not say
	HKDF             cose.Algorithm        // HMAC algorithm; 0 if absent, which means HKDF SHA-256 (RFC 8613, Section 3.2)
	CredentialFormat cose.CredentialFormat // cred_fmt; 0 if absent
	GroupEnc         cose.Algorithm        // gp_enc_alg; 0 if absent: the group mode is not used
	Signature        cose.Algorithm        // sign_alg; 0 if absent: the group mode is not used
	SignParams       Params                // nil if absent
	AEAD             cose.Algorithm        // alg; 0 if absent: the pairwise mode is not used
	KeyAgreement     cose.Algorithm        // ecdh_alg; 0 if absent: the pairwise mode is not used
	ECDHParams       Params                // nil if absent
}

// Marshal returns the object as a map.
func (k KeyMaterial) Marshal() []byte {
	var w wire.Writer
	w.Bytes(ctxMasterSecret, k.MasterSecret)
	addAlgorithm(&w, ctxHKDF, k.HKDF)
	addAlgorithm(&w, ctxAlg, k.AEAD)
	w.Bytes(ctxSalt, k.MasterSalt)
	w.Bytes(ctxContextID, k.Gid)
	w.Bytes(ctxGroupSenderID, k.SenderID)
	if k.CredentialFormat != 0 {
		w.Int(ctxCredFormat, int64(k.CredentialFormat))
	}
	addAlgorithm(&w, ctxGroupEncAlg, k.GroupEnc)
	addAlgorithm(&w, ctxSignAlg, k.Signature)
	addParams(&w, ctxSignParams, k.SignParams)
	addAlgorithm(&w, ctxECDHAlg, k.KeyAgreement)
	addParams(&w, ctxECDHParams, k.ECDHParams)
	return w.Encode()
}

func addAlgorithm(w *wire.Writer, key int64, a cose.Algorithm) {
	if a != 0 {
		w.Int(key, int64(a))
	}
}

func addParams(w *wire.Writer, key int64, p Params) {
	if p != nil {
		w.Raw(key, appendParams(nil, p))
	}
}

// ParseKeyMaterial reads the map that the parameter key holds. It checks the types of the members, not their presence.
func ParseKeyMaterial(b []byte) (KeyMaterial, error) {
	r := wire.NewReader(b)
	var k KeyMaterial
	k.MasterSecret = sized(r, ctxMasterSecret, 1, maxEvidence)
	k.MasterSalt = sized(r, ctxSalt, 0, maxEvidence)
	k.Gid = sized(r, ctxContextID, 0, maxIdentifier)
	k.SenderID = sized(r, ctxGroupSenderID, 0, maxIdentifier)
	k.HKDF = algorithm(r, ctxHKDF)
	if format, ok := r.Int(ctxCredFormat); ok {
		k.CredentialFormat = cose.CredentialFormat(format)
	}
	k.GroupEnc = algorithm(r, ctxGroupEncAlg)
	k.Signature = algorithm(r, ctxSignAlg)
	k.SignParams, _ = wire.Field(r, ctxSignParams, ParseParams)
	k.AEAD = algorithm(r, ctxAlg)
	k.KeyAgreement = algorithm(r, ctxECDHAlg)
	k.ECDHParams, _ = wire.Field(r, ctxECDHParams, ParseParams)
	if err := r.Err(); err != nil {
		return KeyMaterial{}, err
	}
	return k, nil
}

// UsesGroupMode says whether k has the algorithms of the group mode. Without both of them the mode must not be used
// (ace-key-groupcomm-oscore, Section 6.4).
func (k KeyMaterial) UsesGroupMode() bool { return k.GroupEnc != 0 && k.Signature != 0 }

// UsesPairwiseMode says whether k has the algorithms of the pairwise mode. Without both of them the mode must not be used.
func (k KeyMaterial) UsesPairwiseMode() bool { return k.AEAD != 0 && k.KeyAgreement != 0 }

// checkComplete records a fault in r unless k has what a member needs to set up a context: ms, contextId, cred_fmt and the
// algorithms of at least one mode, each mode whole (ace-key-groupcomm-oscore, Section 6.3).
func (k KeyMaterial) checkComplete(r *wire.Reader) {
	group := k.GroupEnc != 0 || k.Signature != 0 || k.SignParams != nil
	pairwise := k.AEAD != 0 || k.KeyAgreement != 0 || k.ECDHParams != nil
	switch {
	case k.MasterSecret == nil, k.Gid == nil, k.CredentialFormat == 0:
		r.Failf("key without secret, Gid or credential format")
	case group && (!k.UsesGroupMode() || k.SignParams == nil):
		r.Failf("key with half of the group mode")
	case pairwise && (!k.UsesPairwiseMode() || k.ECDHParams == nil):
		r.Failf("key with half of the pairwise mode")
	case !group && !pairwise:
		r.Failf("key without algorithms")
	}
}
