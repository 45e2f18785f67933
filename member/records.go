package member

import (
	"fmt"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/keystore"
)

// Names of the records of a device.
//
//	identity/CURVE          the key pair of that curve
//	groups                  the number of the newest group
//	group/N                 a groupRecord
//	sequence/N/SERIAL       the reserved Sender Sequence Numbers of one epoch of group N
//	peer/N/SENDERID         a peerRecord
func identityName(c cose.Curve) keystore.Name { return keystore.Key("identity", uint64(c)) }
func groupCountName() keystore.Name           { return keystore.Key("groups") }
func groupName(n uint64) keystore.Name        { return keystore.Key("group", n) }
func sequenceName(n, serial uint64) keystore.Name {
	return keystore.Key("sequence", n, serial)
}
func peerName(n uint64, id []byte) keystore.Name {
	return keystore.Key("peer", n, senderIDNumber(id))
}

// maxSenderID is the longest Sender ID any algorithm allows, in bytes
// (draft-ietf-core-oscore-groupcomm-28, Section 2.2).
const maxSenderID = 7

// senderIDNumber maps a Sender ID of at most maxSenderID bytes to a number,
// one to one: the length comes first.
func senderIDNumber(id []byte) uint64 {
	n := uint64(len(id)) << 56
	for i, b := range id {
		n |= uint64(b) << (8 * i)
	}
	return n
}

// identityRecord is a key pair of the device with its credential.
type identityRecord struct {
	Private    []byte `cbor:"1,keyasint"`
	Credential []byte `cbor:"2,keyasint"`
}

// epochRecord is the keying material of one version, with the own Sender ID.
type epochRecord struct {
	Version  uint64 `cbor:"1,keyasint"`
	Material []byte `cbor:"2,keyasint"` // groupcomm.KeyMaterial
	SenderID []byte `cbor:"3,keyasint"` // null: a monitor
	GMCred   []byte `cbor:"4,keyasint"`
	Expires  int64  `cbor:"5,keyasint"` // seconds since 1970; when to stop sending
	Serial   uint64 `cbor:"6,keyasint"` // never used twice by this device for this group
}

// groupRecord is all that survives a restart about one group.
type groupRecord struct {
	Name    string      `cbor:"1,keyasint"`
	Roles   uint64      `cbor:"2,keyasint"`
	Node    string      `cbor:"3,keyasint"` // path of the own node resource
	Address string      `cbor:"4,keyasint"` // multicast address and port
	Nonce   []byte      `cbor:"5,keyasint"` // N_C of the latest Join Request
	Epoch   epochRecord `cbor:"6,keyasint"`
	Stale   bool        `cbor:"7,keyasint"` // the epoch was missed or its keys deleted: nothing is sent under it
	Check   int64       `cbor:"8,keyasint"` // Key Update Check Interval, seconds
	Delta   int64       `cbor:"9,keyasint"` // Expiration Delta, seconds
}

// peerRecord is another member of the group.
type peerRecord struct {
	SenderID   []byte `cbor:"1,keyasint"`
	Credential []byte `cbor:"2,keyasint"`
	Roles      uint64 `cbor:"3,keyasint"`
}

func encode(v any) ([]byte, error) {
	b, err := cborx.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a record: %w", err)
	}
	return b, nil
}

func decode(n keystore.Name, b []byte, v any) error {
	if err := cborx.Unmarshal(b, v); err != nil {
		return fmt.Errorf("record %s: %w", n, err)
	}
	return nil
}

// params are the inputs of the Security Context of an epoch.
func (e *epochRecord) params() (grouposcore.Params, error) {
	k, err := groupcomm.ParseKeyMaterial(e.Material)
	if err != nil {
		return grouposcore.Params{}, err
	}
	return grouposcore.Params{
		Gid:              k.Gid,
		MasterSecret:     k.MasterSecret,
		MasterSalt:       k.MasterSalt,
		HKDF:             k.HKDF,
		AEAD:             k.AEAD,
		KeyAgreement:     k.KeyAgreement,
		GroupEnc:         k.GroupEnc,
		Signature:        k.Signature,
		CredentialFormat: k.CredentialFormat,
		GMCredential:     e.GMCred,
	}, nil
}

// curve is the curve of the members' keys in this epoch.
func curveOf(k groupcomm.KeyMaterial) (cose.Curve, error) {
	if c, ok := k.SignParams.Curve(); ok {
		return c, nil
	}
	if c, ok := k.ECDHParams.Curve(); ok {
		return c, nil
	}
	return 0, fmt.Errorf("%w: the group names no curve", ErrUnsupported)
}

func (r *groupRecord) roles() ace.Roles { return ace.Roles(r.Roles) }
