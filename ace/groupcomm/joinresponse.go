package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
)

// JoinResponse gives a new member all it needs: the answer 2.01 or 2.04 to a [JoinRequest] (RFC 9594, Section 4.3.1;
// ace-key-groupcomm-oscore, Section 6.3). The member's resource is in the options Location-Path, not here.
type JoinResponse struct {
	Key     KeyMaterial
	Version uint64 // num: version of the keying material, 0 when the group was created
	Expiry  Expiry
	Peers   Peers // nil unless the request had get_creds
	// Policies are nil if the group has none, which means the defaults.
	Policies *Policies
	// KDC proves possession of the Group Manager's private key, with [KDCPoP] as input.
	KDC KDCCred
	// RekeyingScheme is 0, Point-to-Point, or else announces a scheme that needs the two fields below.
	RekeyingScheme  int64
	MgtKeyMaterial  []byte // mgt_key_material; nil in Point-to-Point
	ControlGroupURI string // control_group_uri; empty in Point-to-Point
}

// Marshal returns the response as a map.
func (j *JoinResponse) Marshal() []byte {
	var w wire.Writer
	w.Int(paramGkty, KeyTypeGroupOSCORE)
	w.Raw(paramKey, j.Key.Marshal())
	w.Uint(paramNum, j.Version)
	w.Int(paramProfile, ProfileGroupOSCORE)
	j.Expiry.write(&w)
	j.Peers.write(&w)
	if j.Policies != nil {
		w.Raw(paramGroupPolicies, j.Policies.Marshal())
	}
	j.KDC.write(&w)
	if j.RekeyingScheme != SchemePointToPoint {
		w.Int(paramRekeyingScheme, j.RekeyingScheme)
		w.Bytes(paramMgtKeyMaterial, j.MgtKeyMaterial)
	}
	w.Text(paramControlGroupURI, j.ControlGroupURI)
	return w.Encode()
}

// ParseJoinResponse reads a response. It checks that the members required by the profile are there and that the key has
// each mode it has whole; it does not verify the Group Manager's evidence.
func ParseJoinResponse(b []byte) (*JoinResponse, error) {
	r := wire.NewReader(b)
	j := &JoinResponse{}
	j.Key, j.Version = readKey(r)
	j.Key.checkComplete(r)
	r.Require(paramProfile)
	j.Expiry = readExpiry(r)
	j.Peers = readPeers(r)
	if p, ok := wire.Field(r, paramGroupPolicies, ParsePolicies); ok {
		j.Policies = &p
	}
	j.KDC = readKDCCred(r)
	j.RekeyingScheme, _ = r.Int(paramRekeyingScheme)
	j.MgtKeyMaterial = sized(r, paramMgtKeyMaterial, 0, maxCredential)
	j.ControlGroupURI = uri(r, paramControlGroupURI)
	if j.MgtKeyMaterial != nil && j.RekeyingScheme == SchemePointToPoint {
		r.Failf("mgt_key_material without a rekeying scheme that uses it")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return j, nil
}

// readKey reads gkty, key and num, which are required, and checks ace_groupcomm_profile if it is there.
func readKey(r *wire.Reader) (KeyMaterial, uint64) {
	r.Require(paramGkty, paramKey, paramNum)
	constant(r, paramGkty, KeyTypeGroupOSCORE)
	constant(r, paramProfile, ProfileGroupOSCORE)
	key, _ := wire.Field(r, paramKey, ParseKeyMaterial)
	num, _ := r.Uint(paramNum)
	return key, num
}
