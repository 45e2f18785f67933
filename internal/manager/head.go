package manager

import (
	"time"

	"github.com/cohort-iot/cohort/internal/secret"
)

// recordSchema is the version of the record layouts of this package. A reader
// refuses a newer one; a migration raises it.
const recordSchema = 1

// head is the record of a group: all that changes together, O(1) in members.
// A rekeying rewrites this record, one index entry and a counter, and nothing else.
type head struct {
	Schema      uint8       `cbor:"0,keyasint"`
	Number      uint64      `cbor:"1,keyasint"`
	Name        string      `cbor:"2,keyasint"`
	Description string      `cbor:"3,keyasint,omitempty"`
	State       GroupState  `cbor:"4,keyasint"`
	Config      GroupConfig `cbor:"5,keyasint"`
	Revision    uint64      `cbor:"6,keyasint"` // of the configuration and state; +1 per change

	Version   uint64       `cbor:"7,keyasint"` // num; 0 at creation, +1 per rekeying
	GidNumber uint64       `cbor:"8,keyasint"`
	Gid       []byte       `cbor:"9,keyasint"`
	Secret    secret.Bytes `cbor:"10,keyasint"`
	Salt      secret.Bytes `cbor:"11,keyasint,omitempty"`
	Installed int64        `cbor:"12,keyasint"` // Unix seconds
	Expires   int64        `cbor:"13,keyasint"` // Unix seconds
	LastCause Cause        `cbor:"14,keyasint"`

	NextMember uint64 `cbor:"15,keyasint"` // node number, only grows
	NextSender uint64 `cbor:"16,keyasint"` // where the search for a free Sender ID starts
	Members    uint64 `cbor:"17,keyasint"`

	// OldestStale is the lowest version whose set of stale Sender IDs is kept;
	// sets exist for OldestStale to Version, the last being that of the current
	// version. PrunedStale is the lowest version whose set is not yet removed.
	OldestStale uint64 `cbor:"18,keyasint"`
	PrunedStale uint64 `cbor:"19,keyasint"`

	// Due says that the group must be rekeyed and why: the members that must not
	// read on are removed already, in a step of a larger effect.
	Due     Cause `cbor:"20,keyasint,omitempty"`
	Created int64 `cbor:"21,keyasint"`
	// DueAt is when the rekeying that is due has to be made, in Unix milliseconds;
	// 0: now.
	DueAt int64 `cbor:"22,keyasint,omitempty"`

	// KeyGeneration is that of the Group Manager's key pair which the group uses.
	KeyGeneration uint64 `cbor:"23,keyasint,omitempty"`
	// Epoch is the part of the Gid that goes round, and Elders are the clients that
	// the latest rekeying evicted for their Birth Gid; with GidReuse only.
	Epoch  uint64   `cbor:"24,keyasint,omitempty"`
	Elders []uint64 `cbor:"25,keyasint,omitempty"`

	// Next is the configuration that the group is to have once the members whose
	// Sender IDs or credentials do not fit it are out; nil: none is under way.
	Next *GroupConfig `cbor:"26,keyasint,omitempty"`
	// Configured is the version with which the algorithms changed last, so the Group
	// Manager's credential too, perhaps; 0: never.
	Configured uint64 `cbor:"27,keyasint,omitempty"`

	// Bases is how many bases the group's Gids had before; with GidReuse only.
	Bases uint64 `cbor:"28,keyasint,omitempty"`
}

// staleSets is how many sets exist.
func (h *head) staleSets() uint64 { return h.Version - h.OldestStale + 1 }

func (h *head) joinable() error {
	if h.State != GroupActive {
		return refuse(KindInactive, "the group is currently not active")
	}
	if h.Next != nil {
		return refuse(KindUnavailable, "the group's configuration is being changed, try again")
	}
	return nil
}

// GroupInfo is what an operator sees of a group: no key material.
type GroupInfo struct {
	Name        string
	Description string
	State       GroupState
	Config      GroupConfig
	Identity    string // name of the Group Manager's key pair that it uses
	Revision    uint64
	Version     uint64
	Gid         []byte
	Members     uint64
	Created     time.Time
	Installed   time.Time
	Expires     time.Time
	LastCause   Cause
	Due         Cause
	DueAt       time.Time // when the rekeying that is due is made at the latest; zero: none is due
	ScheduledAt time.Time // when the schedule replaces the keying material
	Changing    bool      // a change of the configuration is under way
}

func (h *head) info() GroupInfo {
	i := GroupInfo{
		Name: h.Name, Description: h.Description, State: h.State, Config: h.Config.WithDefaults(), Revision: h.Revision,
		Identity: h.Config.slot().name(),
		Version:  h.Version, Gid: append([]byte(nil), h.Gid...), Members: h.Members,
		Created: time.Unix(h.Created, 0).UTC(), Installed: time.Unix(h.Installed, 0).UTC(),
		Expires: time.Unix(h.Expires, 0).UTC(), LastCause: h.LastCause, Due: h.Due,
		ScheduledAt: h.rekeyAt().UTC(), Changing: h.Next != nil,
	}
	if h.Due != CauseNone {
		i.DueAt = time.UnixMilli(h.DueAt).UTC()
	}
	return i
}
