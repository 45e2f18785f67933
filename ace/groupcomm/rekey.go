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

	// Config is the group's new configuration, nil if the version has that of the one before: credential format, HKDF and
	// algorithms, nothing else (ace-oscore-gm-admin, Sections 6.6.2 and 10.1).
	Config *KeyMaterial
	// KDCCredential is kdc_cred, without a proof: it says that the Group Manager's credential is not the one it began with, and
	// a member with another one fetches it with its proof. nil otherwise; not foreseen by the draft.
	KDCCredential []byte
}

// Marshal returns the message as a map.
func (m *RekeyMessage) Marshal() []byte {
	var w wire.Writer
	w.Int(paramGkty, KeyTypeGroupOSCORE)
	var key KeyMaterial
	if m.Config != nil {
		key = m.Config.configuration()
	}
	key.MasterSecret, key.MasterSalt, key.Gid = m.MasterSecret, m.MasterSalt, m.Gid
	w.Raw(paramKey, key.Marshal())
	w.Uint(paramNum, m.Version)
	w.Int(paramProfile, ProfileGroupOSCORE)
	m.Expiry.write(&w)
	m.Peers.write(&w)
	stale := m.StaleIDs
	if stale == nil {
		stale = [][]byte{}
	}
	w.BytesArray(paramStaleNodeIDs, stale)
	w.Bytes(paramKDCCred, m.KDCCredential)
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

		KDCCredential: sized(r, paramKDCCred, 1, maxCredential),
	}
	if m.MasterSecret == nil || m.Gid == nil {
		r.Failf("key without secret or Gid")
	}
	if key.CredentialFormat != 0 { // the algorithms are only told together with it
		key.checkComplete(r)
		c := key.configuration()
		m.Config = &c
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// configuration is the part of k that is no secret and nobody's own.
func (k KeyMaterial) configuration() KeyMaterial {
	k.MasterSecret, k.MasterSalt, k.Gid, k.SenderID = nil, nil, nil, nil
	return k
}
