package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// JoinInfo tells a node what it has to know to join, in a 4.00 to a Join Request it could not make better without it
// (ace-key-groupcomm-oscore, Section 6.2). A POST without payload is answered with it too, which serves for discovery. It is
// also the 4.00 to a credential update for which the challenge was lost (RFC 9594, Section 4.9.1).
type JoinInfo struct {
	Sign      *SignInfo  // sign_info; nil if the group does not use the group mode
	ECDH      *ECDHInfo  // ecdh_info; nil if the group does not use the pairwise mode
	KDCDH     *KDCDHCred // kdc_dh_creds; nil unless the group uses only the pairwise mode
	Challenge []byte     // kdcchallenge: a new N_S that replaces any earlier one; nil if the earlier one holds
}

// Marshal returns the payload as a map.
func (j *JoinInfo) Marshal() []byte {
	var w wire.Writer
	if j.Sign != nil {
		w.Raw(paramSignInfo, MarshalSignInfo([]SignInfo{*j.Sign}))
	}
	w.Bytes(paramKDCChallenge, j.Challenge)
	if j.ECDH != nil {
		w.Raw(paramECDHInfo, MarshalECDHInfo([]ECDHInfo{*j.ECDH}))
	}
	if j.KDCDH != nil {
		w.Raw(paramKDCDHCreds, MarshalKDCDHCred([]KDCDHCred{*j.KDCDH}))
	}
	return w.Encode()
}

// ParseJoinInfo reads the payload. Each of its arrays has exactly the entry of the one group.
func ParseJoinInfo(b []byte) (*JoinInfo, error) {
	r := wire.NewReader(b)
	j := &JoinInfo{
		Sign:      only(r, paramSignInfo, ParseSignInfo),
		ECDH:      only(r, paramECDHInfo, ParseECDHInfo),
		KDCDH:     only(r, paramKDCDHCreds, ParseKDCDHCred),
		Challenge: nonce(r, paramKDCChallenge),
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return j, nil
}

// only reads an array of exactly one entry; nil if absent.
func only[T any](r *wire.Reader, key int64, parse func([]byte) ([]T, error)) *T {
	list, ok := wire.Field(r, key, parse)
	if !ok {
		return nil
	}
	if len(list) != 1 {
		r.Failf("member %d: %d entries about one group", key, len(list))
		return nil
	}
	return &list[0]
}
