package groupcomm

import (
	"github.com/cohort-iot/cohort/ace/internal/wire"
	"github.com/cohort-iot/cohort/internal/secret"
)

// RekeyMessage brings a member from one version of the keying material to the next: the payload of a POST to its control_uri,
// or of a response to a request for a new Sender ID (ace-key-groupcomm-oscore, Section 11.1).
type RekeyMessage struct {
	MasterSecret secret.Bytes // ms
	MasterSalt   secret.Bytes // salt; nil if absent: the new context has an empty Master Salt, not the one before
	Gid          []byte       // contextId
	Version      uint64       // num of the new material
	Expiry       Expiry
	StaleIDs     [][]byte // Sender IDs given up under the version before; often empty, never absent
	Peers        Peers    // members that joined and so caused the rekeying; nil if there are none to tell
}

// Marshal returns the message as a map.
func (m *RekeyMessage) Marshal() []byte {
	var w wire.Writer
	w.Int(paramGkty, KeyTypeGroupOSCORE)
	w.Raw(paramKey, KeyMaterial{MasterSecret: m.MasterSecret, MasterSalt: m.MasterSalt, Gid: m.Gid}.Marshal())
	w.Uint(paramNum, m.Version)
	w.Int(paramProfile, ProfileGroupOSCORE)
	m.Expiry.write(&w)
	m.Peers.write(&w)
	stale := m.StaleIDs
	if stale == nil {
		stale = [][]byte{}
	}
	w.BytesArray(paramStaleNodeIDs, stale)
	return w.Encode()
}

// ParseRekeyMessage reads a message.
func ParseRekeyMessage(b []byte) (*RekeyMessage, error) {
	r := wire.NewReader(b)
	key, num := readKey(r)
	r.Require(paramProfile, paramStaleNodeIDs)
	m := &RekeyMessage{
		MasterSecret: key.MasterSecret,
		MasterSalt:   key.MasterSalt,
		Gid:          key.Gid,
		Version:      num,
		Expiry:       readExpiry(r),
		StaleIDs:     identifiers(r, paramStaleNodeIDs),
		Peers:        readPeers(r),
	}
	if m.MasterSecret == nil || m.Gid == nil {
		r.Failf("key without secret or Gid")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return m, nil
}
