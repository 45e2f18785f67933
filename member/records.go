package member

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

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
//	windows/N               a windowsRecord, between a clean stop and the next start
//	peer/N/SENDERID         a peerRecord
func identityName(c cose.Curve) keystore.Name     { return keystore.Key("identity", uint64(c)) }
func groupCountName() keystore.Name               { return keystore.Key("groups") }
func allGroupsName() keystore.Name                { return keystore.Key("group") }
func groupName(n uint64) keystore.Name            { return keystore.Key("group", n) }
func sequencesName(n uint64) keystore.Name        { return keystore.Key("sequence", n) }
func sequenceName(n, serial uint64) keystore.Name { return keystore.Key("sequence", n, serial) }
func windowsName(n uint64) keystore.Name          { return keystore.Key("windows", n) }
func allPeersName() keystore.Name                 { return keystore.Key("peer") }
func peersName(n uint64) keystore.Name            { return keystore.Key("peer", n) }
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
	Private    []byte     `cbor:"1,keyasint"`
	Credential []byte     `cbor:"2,keyasint"`
	Curve      cose.Curve `cbor:"3,keyasint,omitempty"`
}

// epochRecord is the keying material of one version, with the own Sender ID.
type epochRecord struct {
	Version  uint64 `cbor:"1,keyasint"`
	Material []byte `cbor:"2,keyasint"` // groupcomm.KeyMaterial; null when it was given up
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
	Stale   bool        `cbor:"7,keyasint"` // the epoch was missed and its keys deleted
	Check   int64       `cbor:"8,keyasint"` // Key Update Check Interval, seconds
	Delta   int64       `cbor:"9,keyasint"` // Expiration Delta, seconds
	// Spent are marks of keying material that was in use, the latest last, and
	// SpentIDs the own Sender IDs under the present Gid: neither may come back,
	// since the sequence numbers would begin anew under the same keys.
	Spent    [][]byte `cbor:"10,keyasint"`
	SpentIDs [][]byte `cbor:"11,keyasint"`
	// Own is the key pair of the device in this group, if it was renewed there.
	// Next is one that the Group Manager may have the credential of already.
	Own   *identityRecord `cbor:"12,keyasint,omitempty"`
	Next  *identityRecord `cbor:"13,keyasint,omitempty"`
	Curve cose.Curve      `cbor:"14,keyasint,omitempty"` // of the credential that the device joined with; 0: a monitor, or not known
}

// maxSpent bounds each of the lists of what was used.
const maxSpent = 16

// markOf is a mark of keying material: the same for the same keys, and of no use
// to find them.
func markOf(k groupcomm.KeyMaterial) []byte {
	h := sha256.New()
	for _, b := range [][]byte{[]byte("cohort keying material"), k.Gid, k.MasterSecret, k.MasterSalt} {
		h.Write(cborx.AppendBytes(nil, b))
	}
	return h.Sum(nil)[:12]
}

func contains(list [][]byte, b []byte) bool {
	return slices.ContainsFunc(list, func(o []byte) bool { return bytes.Equal(o, b) })
}

// remember appends b to a list of at most maxSpent; the list is copied.
func remember(list [][]byte, b []byte) [][]byte {
	list = append(slices.Clone(list), b)
	return list[max(0, len(list)-maxSpent):]
}

// windowsRecord holds what grouposcore.Context.StopWindows gave for an epoch.
type windowsRecord struct {
	Serial  uint64 `cbor:"1,keyasint"`
	Windows []byte `cbor:"2,keyasint"`
}

// peerRecord is another member of the group.
type peerRecord struct {
	SenderID   []byte `cbor:"1,keyasint"`
	Credential []byte `cbor:"2,keyasint"`
	Roles      uint64 `cbor:"3,keyasint"`
	Addr       string `cbor:"4,keyasint,omitempty"` // where it was heard last, at the latest clean stop
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
func (e *epochRecord) params() (grouposcore.Params, groupcomm.KeyMaterial, error) {
	k, err := groupcomm.ParseKeyMaterial(e.Material)
	if err != nil {
		return grouposcore.Params{}, k, err
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
	}, k, nil
}

// curveOf is the curve of the members' keys in this epoch.
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

// serves reports whether the member takes requests of others: a responder to
// answer them, a monitor to look on.
func (r *groupRecord) serves() bool { return r.roles()&(ace.RoleResponder|ace.RoleMonitor) != 0 }
