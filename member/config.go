package member

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/keystore"
)

// Store is the durable state of a device; a *keystore.Store is one.
type Store interface {
	View(fn func(r keystore.Reader) error) error
	Update(ctx context.Context, fn func(tx *keystore.Tx) error) error
	Sequence(n keystore.Name) *keystore.SeqStore
}

// Config describes a device. The zero value of every field that does not say
// required means its default. Open copies it.
type Config struct {
	// Enrolment says who the device is and where its servers are. Required.
	Enrolment *ace.Enrolment
	// Store keeps the device's state. Required; Close does not close it.
	Store Store
	// Listen is the unicast address of the device; port 0 picks a free one.
	// Required: a control URI made from a wildcard address would reach nobody.
	Listen netip.AddrPort
	// Interface is the name of the network interface for multicast. Default:
	// that of the address, or the system's choice.
	Interface string
	// HopLimit of requests to a group. Default 1; 0 cannot be chosen.
	HopLimit int
	// PairwiseAnswers makes the device answer requests made in group mode in
	// pairwise mode where the group has it. Default: in the mode of the request.
	PairwiseAnswers bool
	// Rekeying is how the device hears of new keys. Default RekeyByControlURI.
	Rekeying Rekeying
	// Freshness is what becomes of requests that may not be fresh. Default
	// grouposcore.TrustFirst. See [grouposcore.Freshness]. A monitor, which cannot
	// challenge anybody, refuses where others would.
	Freshness grouposcore.Freshness
	// KeepOld is how long messages under the former keys are still accepted
	// after a rekeying, from members that are not stale. Default 5 s; negative:
	// not at all.
	KeepOld time.Duration
	// SequenceBlock is how many sequence numbers one write to the store
	// reserves, and so how many a restart may skip. Default 1024; at least 2.
	SequenceBlock uint64
	// Timeout bounds each exchange with the servers. Default 20 s.
	Timeout time.Duration
	// Leisure is the time over which answers to group requests are spread.
	// Default: the endpoint's.
	Leisure time.Duration
	// ProbingRate bounds what is sent to a group of which nobody answers, in
	// bytes per second. Default: the endpoint's, which is 1 (RFC 7252).
	ProbingRate int
	// Network opens the sockets. Default: real ones.
	Network endpoint.Network
	// OnEvent is told what happened to the device's groups. It must not block
	// and must not call the device.
	OnEvent func(Event)
	// Meter counts what the endpoint drops.
	Meter endpoint.Meter

	Clock clock.Clock  // default: the system's
	Rand  io.Reader    // default: crypto/rand
	Log   *slog.Logger // default: none
}

// Defaults of Config.
const (
	DefaultKeepOld       = 5 * time.Second
	DefaultSequenceBlock = 1024
	DefaultTimeout       = 20 * time.Second
)

// Validate returns all that is wrong with c, joined.
func (c *Config) Validate() error {
	var faults []error
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, fmt.Errorf("%w: %s", ErrConfig, text))
		}
	}
	fault(c.Enrolment == nil, "no enrolment")
	fault(c.Store == nil, "no store")
	fault(!c.Listen.IsValid() || c.Listen.Addr().IsUnspecified() || c.Listen.Addr().IsMulticast(),
		"listen must be one unicast address of this host")
	fault(c.Timeout < 0 || c.Leisure < 0 || c.ProbingRate < 0, "timeout, leisure and probing rate must not be negative")
	fault(c.SequenceBlock == 1, "a sequence block of 1 would be written for every message")
	fault(c.Rekeying > RekeyByBoth, "no such way of rekeying")
	fault(c.Freshness > grouposcore.Refuse, "no such policy of freshness")
	fault(c.HopLimit < 0 || c.HopLimit > 255, "hop limit must be 1 to 255")
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.KeepOld == 0 {
		c.KeepOld = DefaultKeepOld
	}
	c.KeepOld = max(c.KeepOld, 0)
	if c.SequenceBlock == 0 {
		c.SequenceBlock = DefaultSequenceBlock
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
