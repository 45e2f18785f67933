package manager

import (
	"time"

	"github.com/cohort-iot/cohort/ace"
)

// member is the record of one membership.
type member struct {
	Schema uint8     `cbor:"0,keyasint"`
	Group  uint64    `cbor:"1,keyasint"`
	Number uint64    `cbor:"2,keyasint"` // the node name is made of it
	Client uint64    `cbor:"3,keyasint"`
	Token  uint64    `cbor:"4,keyasint"` // the token it rests on; follows the client's newer tokens
	Roles  ace.Roles `cbor:"5,keyasint"`

	HasSender  bool   `cbor:"6,keyasint,omitempty"` // false: joined as monitor only
	Sender     uint64 `cbor:"7,keyasint,omitempty"`
	Credential []byte `cbor:"8,keyasint,omitempty"`

	Scope      []byte `cbor:"9,keyasint"`            // value of 'scope' of the latest Join Request, for later proofs
	Challenge  []byte `cbor:"10,keyasint"`           // clientchallenge: N_C of the latest Join Request
	ControlURI string `cbor:"11,keyasint,omitempty"` // where rekeying messages go; empty: nowhere

	Joined int64 `cbor:"12,keyasint"` // Unix seconds
	// Given is one more than the version that the latest Join Response carried.
	Given uint64 `cbor:"13,keyasint"`
	// Confirmed is one more than the newest version that the member has shown to hold; 0: none yet.
	Confirmed uint64 `cbor:"14,keyasint"`
	// Birth is one more than the epoch of the Gid that the latest Join Response
	// carried, counted over all bases; 0: Gids of the group are not reassigned.
	Birth uint64 `cbor:"15,keyasint,omitempty"`
}

// has says whether the member is known to hold a version.
func (m *member) has(version uint64) bool { return m.Confirmed > version }

func (m *member) senderID() []byte {
	if !m.HasSender {
		return nil
	}
	return senderIDBytes(m.Sender)
}

// notice is the record of an eviction notice that is owed to a device.
type notice struct {
	Schema     uint8  `cbor:"0,keyasint"`
	Group      uint64 `cbor:"1,keyasint"`
	Number     uint64 `cbor:"2,keyasint"`
	Client     uint64 `cbor:"3,keyasint"`
	ControlURI string `cbor:"4,keyasint"`
	Cause      Cause  `cbor:"5,keyasint"`
	GroupName  string `cbor:"6,keyasint"`
	Since      int64  `cbor:"7,keyasint"`
	Assoc      uint64 `cbor:"8,keyasint"`
}

// MemberInfo is what an operator sees of a membership.
type MemberInfo struct {
	Node       string
	Roles      ace.Roles
	SenderID   []byte // nil: monitor
	Credential []byte // nil: monitor
	Client     string
	ControlURI string
	Joined     time.Time
	Stage      Stage // of the group's current version
	Confirmed  bool  // holds the group's current version
}

// PendingMember is a member that has not shown to hold the current version.
type PendingMember struct {
	Node     string
	Client   string
	Stage    Stage
	Attempts int
	// Reachable says whether the Group Manager can send to it: it has a control
	// URI and a live association. A member that is not reachable fetches.
	Reachable bool
}

func (m *member) info(cl *client, st Stage) MemberInfo {
	return MemberInfo{
		Node: nodeName(m.Number), Roles: m.Roles, SenderID: m.senderID(), Credential: m.Credential, Client: cl.label(),
		ControlURI: m.ControlURI, Joined: time.Unix(m.Joined, 0).UTC(), Stage: st, Confirmed: st == StageConfirmed,
	}
}
