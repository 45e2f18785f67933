package endpoint

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/clock"
)

// Config describes an endpoint. The zero value of every field but Unicast
// means its default; negative numbers are refused. New copies it.
type Config struct {
	// Unicast is the address requests are sent from and answers leave from;
	// port 0 picks a free one.
	Unicast netip.AddrPort
	// More are further unicast addresses to serve, such as one of the other
	// address family.
	More []netip.AddrPort
	// Groups are the CoAP groups to be a member of from the start.
	Groups []MulticastGroup
	// Network opens the sockets. Default: UDP.
	Network Network

	// Handler serves requests. Default: everything is 4.04. See Mux.
	Handler mux.Handler
	// Openers verify protected requests. Without any, these are answered
	// with 4.01.
	Openers []RequestOpener
	// CredentialWanted is told, once for each, of group members whose
	// messages cannot be verified for want of their credential. It must not
	// block. Whoever has fetched the credential calls CredentialReady.
	CredentialWanted func(gid, senderID []byte)
	// InsecurePlainMulticast allows unprotected requests to groups, in both
	// directions. Default: they are dropped and refused.
	InsecurePlainMulticast bool

	// Workers is the number of requests served at once. Default 64.
	Workers int
	// Queue is how many requests wait for a worker; further ones are dropped.
	// Default 1024.
	Queue int
	// PerPeer is how many requests of one address and port may wait or be
	// served at once. Default: three quarters of Workers, at least 1.
	PerPeer int
	// DedupEntries is how many served requests are remembered for their
	// retransmissions, for at most 247 s. Default 16384.
	DedupEntries int
	// DedupBytes bounds the memory of the answers kept for them.
	// Default 8 MiB.
	DedupBytes int
	// Exchanges is how many requests may be outstanding. Default 4096.
	Exchanges int
	// ResponseQueue is how many responses to one group request wait for the
	// caller of DoMulticast. Default 1024.
	ResponseQueue int
	// Parked is how many messages wait for a credential, each for at most
	// ParkTime. Defaults 64 and 5 s.
	Parked   int
	ParkTime time.Duration

	// ACKTimeout and MaxRetransmit rule the retransmission of confirmable
	// messages (RFC 7252, Section 4.8). Defaults 2 s and 4; at most 10
	// retransmissions.
	ACKTimeout    time.Duration
	MaxRetransmit int
	// ACKDelay is when a confirmable request in work is acknowledged by an
	// empty message; its response then comes separately. Default 500 ms.
	ACKDelay time.Duration
	// NSTART is how many requests may be outstanding to one peer or one
	// group. Further ones wait. Default 1.
	NSTART int
	// ProbingRate bounds what is sent in non-confirmable requests to a peer or
	// group that does not answer, in bytes per second on average
	// (RFC 7252, Section 4.7). Default 1.
	ProbingRate int
	// Leisure is the time over which answers to group requests are spread.
	// Default 5 s.
	Leisure time.Duration

	// Clock, Rand and Log default to the system's clock, crypto/rand and no
	// log at all. Meter counts what is dropped.
	Clock clock.Clock
	Rand  io.Reader
	Log   *slog.Logger
	Meter Meter
}

// Validate returns all that is wrong with c, joined.
func (c *Config) Validate() error {
	var errs []error
	if !c.Unicast.Addr().IsValid() {
		errs = append(errs, errors.New("unicast address is missing"))
	}
	for _, a := range append([]netip.AddrPort{c.Unicast}, c.More...) {
		if a.Addr().IsMulticast() {
			errs = append(errs, fmt.Errorf("%s is a multicast address; use Groups", a))
		}
	}
	for _, g := range c.Groups {
		errs = append(errs, g.validate())
	}
	for _, f := range []struct {
		name string
		n    int
	}{
		{"Workers", c.Workers}, {"Queue", c.Queue}, {"PerPeer", c.PerPeer}, {"DedupEntries", c.DedupEntries},
		{"DedupBytes", c.DedupBytes}, {"Exchanges", c.Exchanges}, {"ResponseQueue", c.ResponseQueue}, {"Parked", c.Parked},
		{"ParkTime", int(c.ParkTime)}, {"ACKTimeout", int(c.ACKTimeout)}, {"MaxRetransmit", c.MaxRetransmit},
		{"ACKDelay", int(c.ACKDelay)}, {"NSTART", c.NSTART}, {"Leisure", int(c.Leisure)}, {"ProbingRate", c.ProbingRate},
	} {
		if f.n < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", f.name))
		}
	}
	if c.MaxRetransmit > maxMaxRetransmit {
		errs = append(errs, fmt.Errorf("MaxRetransmit is above %d", maxMaxRetransmit))
	}
	return errors.Join(errs...)
}

// nonLifetime is NON_LIFETIME: how long a Message ID of a NON message may not
// be used again. It is 145 s by default (RFC 7252, Section 4.8.2).
func (c *Config) nonLifetime() time.Duration {
	span := c.ACKTimeout * time.Duration(1<<c.MaxRetransmit-1)
	return time.Duration(float64(span)*ackRandomFactor) + maxLatency
}

// exchangeLifetime is EXCHANGE_LIFETIME, the same for a CON message and all
// that belongs to it: 247 s by default.
func (c *Config) exchangeLifetime() time.Duration {
	return c.nonLifetime() + maxLatency + c.ACKTimeout
}

func (g MulticastGroup) validate() error {
	switch {
	case !g.Addr.Addr().IsMulticast():
		return fmt.Errorf("group address %s is not multicast", g.Addr)
	case g.Addr.Port() == 0:
		return fmt.Errorf("group address %s has no port", g.Addr)
	case g.Addr.Port() == 5684:
		// draft-ietf-core-groupcomm-bis, Section 3.4.
		return fmt.Errorf("group address %s: port 5684 must not be used for groups", g.Addr)
	}
	return nil
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	dur := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Workers, defaultWorkers)
	def(&c.Queue, defaultQueue)
	def(&c.PerPeer, max(1, c.Workers*3/4))
	def(&c.DedupEntries, defaultDedup)
	def(&c.DedupBytes, defaultDedupBytes)
	def(&c.Exchanges, defaultExchanges)
	def(&c.ResponseQueue, defaultResponseQueue)
	def(&c.Parked, defaultParked)
	dur(&c.ParkTime, defaultParkTime)
	dur(&c.ACKTimeout, DefaultACKTimeout)
	def(&c.MaxRetransmit, DefaultMaxRetransmit)
	dur(&c.ACKDelay, defaultACKDelay)
	def(&c.NSTART, DefaultNSTART)
	def(&c.ProbingRate, defaultProbingRate)
	dur(&c.Leisure, DefaultLeisure)
	if c.Network == nil {
		c.Network = UDP{}
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
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	return c
}
