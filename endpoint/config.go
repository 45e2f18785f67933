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

	// Workers is the number of requests served at once, three quarters of it
	// for unprotected ones. Default 64.
	Workers int
	// Queue is how many requests of a KiB or less wait for a worker, protected
	// and unprotected ones each; longer ones count for more. When there is no
	// room, the peer with the most of them loses its last. Default 1024.
	Queue int
	// PerPeer is how many requests of one address and port are served at once.
	// Default: three quarters of Workers, at least 1; no more than that of
	// the workers for unprotected requests, and than there are workers free.
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

	// BlockSize is the largest payload of one message, in bytes: longer bodies
	// are transferred block by block (RFC 7959). A power of two from 16 to
	// 1024. Default 1024.
	BlockSize int
	// MaxBody is the longest body of a request or response, in bytes.
	// Default 4 MiB, at most 16 MiB.
	MaxBody int
	// BlockBytes bounds the memory of the bodies that a server has partly
	// received or handed out. One peer gets no more than a quarter, or one
	// body; all strangers together an eighth. Default 32 MiB.
	BlockBytes int
	// MaxUnfragmented is MAX_UNFRAGMENTED_SIZE (RFC 8613, Section 4.1.3.4.2):
	// the size of the longest protected message, in bytes, that is sent or
	// accepted in one piece or in Outer blocks. Default 2048, at least 576.
	MaxUnfragmented int

	// Observations is how many observations of other endpoints are served at
	// once, ObservationsPerPeer how many of one peer. Defaults 4096 and 128.
	Observations        int
	ObservationsPerPeer int
	// ConfirmEvery makes every n-th notification to an observer confirmable, 1
	// all. The first after a registration always is, and the first after a day.
	// Default 8.
	ConfirmEvery int

	// Amplification is how many times longer than a request its answer may be
	// as long as the address of the peer is not validated, counted in bytes
	// with IP and UDP headers. Safe requests with longer answers are answered
	// by a challenge (4.01 with Echo; RFC 9175, Section 2.4), the answers to
	// others come in smaller blocks. Default 3. InsecureAmplification lifts the
	// limit.
	Amplification         int
	InsecureAmplification bool
	// ChallengeGroups challenges every group request from an address that is
	// not validated for its sender, however short the answer
	// (draft-ietf-core-groupcomm-bis, Section 6.3.1). Without it, small answers
	// are given at once.
	ChallengeGroups bool

	// TokenLength is the length of the tokens of requests, in bytes: 8, the
	// default, or 13 and more, which not every server takes (RFC 8974).
	TokenLength int
	// MaxToken is the longest token of a request that is served, in bytes, at
	// least 8. Default 256.
	MaxToken int

	// TCP says how to speak CoAP over TCP, DTLS how over DTLS.
	TCP  TCPConfig
	DTLS DTLSConfig

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
		{"BlockSize", c.BlockSize}, {"MaxBody", c.MaxBody}, {"BlockBytes", c.BlockBytes}, {"MaxUnfragmented", c.MaxUnfragmented},
		{"Observations", c.Observations}, {"ObservationsPerPeer", c.ObservationsPerPeer}, {"ConfirmEvery", c.ConfirmEvery},
		{"Amplification", c.Amplification},
	} {
		if f.n < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", f.name))
		}
	}
	if c.MaxRetransmit > maxMaxRetransmit {
		errs = append(errs, fmt.Errorf("MaxRetransmit is above %d", maxMaxRetransmit))
	}
	if n := c.BlockSize; n > 0 && (n < 16 || n > 1024 || n&(n-1) != 0) {
		errs = append(errs, fmt.Errorf("BlockSize %d is no power of two from 16 to 1024", n))
	}
	if c.MaxBody > maxMaxBody {
		errs = append(errs, fmt.Errorf("MaxBody is above %d", maxMaxBody))
	}
	if n := c.MaxUnfragmented; n > 0 && (n < 576 || n > maxDatagram) {
		errs = append(errs, fmt.Errorf("MaxUnfragmented %d is not from 576 to %d", n, maxDatagram))
	}
	errs = append(errs, c.validateTokens()...)
	errs = append(errs, c.TCP.validate()...)
	errs = append(errs, c.DTLS.validate()...)
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
	def(&c.BlockSize, defaultBlockSize)
	def(&c.MaxBody, defaultMaxBody)
	def(&c.BlockBytes, defaultBlockBytes)
	def(&c.MaxUnfragmented, defaultMaxUnfragmented)
	def(&c.Observations, defaultObservations)
	def(&c.ObservationsPerPeer, defaultObservationsPerPeer)
	def(&c.ConfirmEvery, defaultConfirmEvery)
	def(&c.Amplification, defaultAmplification)
	def(&c.TokenLength, tokenSize)
	def(&c.MaxToken, defaultMaxToken)
	c.TCP, c.DTLS = c.TCP.withDefaults(), c.DTLS.withDefaults()
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
