package manager

import (
	"context"
	"net/netip"
	"time"

	"github.com/cohort-iot/cohort/keystore"
)

// Store is the durable state. *keystore.Store implements it.
type Store interface {
	View(fn func(r keystore.Reader) error) error
	Update(ctx context.Context, fn func(tx *keystore.Tx) error) error
	Index(domain string, text []byte) uint64
}

// MemberRef names a member to the Delivery port.
type MemberRef struct {
	Group       string
	Node        string
	Association uint64 // of the device with the Group Manager; the message is protected under it
	ControlURI  string // absolute, with an address literal and a port
}

// Delivery sends what the Group Manager sends on its own. Both methods block for
// one exchange and may be called concurrently, never twice at once for one member.
type Delivery interface {
	// Rekey posts a rekeying message (Content-Format 261) to the member's control
	// URI. It returns how far the message came: StageConfirmed if and only if a
	// successful response verified under the association.
	Rekey(ctx context.Context, m MemberRef, payload []byte) (Stage, error)
	// Evicted sends DELETE to the control URI; nil if a response verified.
	Evicted(ctx context.Context, m MemberRef) error
}

// Observers tells those who observe a resource that it changed. It must not block.
type Observers interface {
	// Rekeyed: the group has new keying material.
	Rekeyed(group string)
	// ActiveChanged: the group was activated or deactivated.
	ActiveChanged(group string)
	// Deleted: the group is gone.
	Deleted(group string)
	// Ended: the membership was ended by the Group Manager, and the device gave no control URI, so that
	// it is told as an observer of its node or not at all.
	Ended(group, node string)
}

// Sessions forgets the context of an association that has ended. It must not block.
type Sessions interface {
	Drop(association uint64)
}

// Meter receives figures. It must not block.
type Meter interface {
	Joined(group string, created bool)
	Left(group string, cause Cause)
	Rekeyed(group string, cause Cause, version uint64)
	Delivered(group string, stage Stage, took time.Duration)
	Refused(kind Kind)
	// Proved: a member's proof of possession was verified, which costs a signature's
	// verification or a key agreement; ok says whether it holds.
	Proved(ok bool)
}

type nopMeter struct{}

func (nopMeter) Joined(string, bool)                    {}
func (nopMeter) Left(string, Cause)                     {}
func (nopMeter) Rekeyed(string, Cause, uint64)          {}
func (nopMeter) Delivered(string, Stage, time.Duration) {}
func (nopMeter) Refused(Kind)                           {}
func (nopMeter) Proved(bool)                            {}

// Caller is what the secure association of a request proves: who asks.
type Caller struct {
	Client      uint64
	Association uint64
	Addr        netip.AddrPort // where the verified request came from
}
