package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// ErrDuplicateContext is returned for a context when one with the same Recipient
// ID and ID Context is there already.
var ErrDuplicateContext = errors.New("another context has this recipient id and id context")

// Contexts are the security contexts of an endpoint, and as its RequestOpener
// find the one for a request: by kid and kid context, never by address. The
// zero value is empty and ready. It is safe for concurrent use.
type Contexts struct {
	// Now tells when a request is opened, for contexts of a group that
	// expire. Default: time.Now.
	Now func() time.Time
	// FailuresPerSecond bounds the verifications in groups that may fail for
	// one sender and for one source; more is dropped unseen
	// (grouposcore.FailureBudget). Default 200.
	FailuresPerSecond int
	// SequenceLow, if not nil, is told when sequence numbers for responses have
	// to be reserved (oscore.Sequence.NeedsReserve). It is called by workers,
	// perhaps many times, and must not block.
	SequenceLow func(*oscore.Sequence)
	// Rand is the source of Recipient IDs. Default: crypto/rand.
	Rand io.Reader

	mu       sync.RWMutex
	pairwise map[string][]*oscoreEntry             // by Recipient ID
	quartets map[[oscore.QuartetSize]byte]struct{} // of contexts that were added
	derive   map[string]*b2Entry                   // by Recipient ID
	reserved map[string]struct{}                   // Recipient IDs without a context yet
	used     [maxRecipientID + 1]int               // Recipient IDs in any of these, by length
	groups   []*groupEntry
	budget   *grouposcore.FailureBudget // made with the first group
}

// oscoreEntry is an OSCORE context with what its owner attached.
type oscoreEntry struct {
	ctx   *oscore.Context
	assoc any
	first *once
}

// once runs a function that may fail, until it succeeds.
type once struct {
	done atomic.Bool
	mu   sync.Mutex
	fn   func() error
}

func (o *once) do() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.done.Load() {
		return nil
	}
	if err := o.fn(); err != nil {
		return err
	}
	o.done.Store(true)
	o.fn = nil
	return nil
}

// AddOSCORE adds a context. assoc becomes Peer.Association. onFirst, if not
// nil, is called when the first request verified, before its handler; it may
// take its time, and if it fails the request is not served, and its next copy or
// the next request calls it again. ErrDuplicateContext is returned if a request could not tell the
// context from another one.
func (c *Contexts) AddOSCORE(ctx *oscore.Context, assoc any, onFirst func() error) error {
	e := &oscoreEntry{ctx: ctx, assoc: assoc}
	if onFirst != nil {
		e.first = &once{fn: onFirst}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := string(ctx.RecipientID())
	for _, o := range c.pairwise[id] {
		if sameKIDContext(o.ctx.KIDContext(), ctx.KIDContext()) {
			return fmt.Errorf("%w: %x", ErrDuplicateContext, id)
		}
	}
	// Two contexts with one Sender Key would use each nonce twice (RFC 8613,
	// Section 3.3).
	if _, dup := c.quartets[ctx.Quartet()]; dup {
		return fmt.Errorf("%w: sender id %x", ErrDuplicateContext, ctx.SenderID())
	}
	c.hold(id, func() {
		delete(c.reserved, id)
		if c.pairwise == nil {
			c.pairwise = make(map[string][]*oscoreEntry)
		}
		if c.quartets == nil {
			c.quartets = make(map[[oscore.QuartetSize]byte]struct{})
		}
		c.quartets[ctx.Quartet()] = struct{}{}
		// A new slice: readers use the old one without the lock.
		c.pairwise[id] = append(slices.Clip(c.pairwise[id]), e)
	})
	return nil
}

func sameKIDContext(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// RemoveOSCORE removes a context; requests under it find none from then on.
func (c *Contexts) RemoveOSCORE(ctx *oscore.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := string(ctx.RecipientID())
	c.hold(id, func() {
		c.pairwise[id] = slices.DeleteFunc(slices.Clone(c.pairwise[id]), func(e *oscoreEntry) bool {
			if e.ctx == ctx {
				c.forget(e)
			}
			return e.ctx == ctx
		})
		if len(c.pairwise[id]) == 0 {
			delete(c.pairwise, id)
		}
	})
}

// forget lets the quartets of contexts that are removed be used again.
func (c *Contexts) forget(entries ...*oscoreEntry) {
	for _, e := range entries {
		delete(c.quartets, e.ctx.Quartet())
	}
}

// OpenRequest implements RequestOpener. The kid context says whether a request
// is for a group; a request with the group flag is never tried under an OSCORE
// context, nor the other way round (draft-ietf-core-oscore-groupcomm,
// Section 6).
func (c *Contexts) OpenRequest(m message.Message, opt coapmsg.OSCOREOption, from netip.AddrPort, _ bool) (*Opened, error) {
	err := error(ErrNoContext)
	if opt.KIDContext != nil {
		var o *Opened
		if o, err = c.openGroup(m, opt, from.Addr()); err == nil {
			return o, nil
		}
	}
	if opt.Group {
		return nil, err
	}
	c.mu.RLock()
	entries, b2 := c.pairwise[string(opt.KID)], c.derive[string(opt.KID)]
	c.mu.RUnlock()
	for _, e := range entries {
		if !e.ctx.Matches(opt) {
			continue
		}
		o, oerr := e.open(c, m)
		if oerr == nil {
			return o, nil
		}
		err = oerr
	}
	if b2 != nil && opt.KID != nil {
		o, berr := b2.open(c, m)
		if berr == nil || errors.Is(err, ErrNoContext) {
			return o, berr
		}
	}
	return nil, err
}

func (e *oscoreEntry) open(c *Contexts, m message.Message) (*Opened, error) {
	in, x, err := e.ctx.UnprotectRequest(m)
	if err != nil && !errors.Is(err, oscore.ErrWindowInvalid) {
		return nil, refusal(err)
	}
	o := c.openedOSCORE(e.ctx, in, x, e.assoc)
	if err != nil {
		o.Fresh = func() error { return e.ctx.ConfirmFresh(x) }
	}
	if e.first != nil && !e.first.done.Load() {
		o.First = e.first.do
	}
	return o, nil
}

func (c *Contexts) openedOSCORE(ctx *oscore.Context, m message.Message, x *oscore.Exchange, assoc any) *Opened {
	return &Opened{
		Message: m,
		Peer:    oscorePeer(ctx, assoc),
		Context: ctx,
		Protect: func(resp message.Message, o ProtectOptions) (message.Message, error) {
			resp, err := ctx.ProtectResponse(resp, x, oscore.ResponseOptions{PIV: o.PIV})
			c.checkSequence(ctx.Sequence())
			return resp, err
		},
	}
}

func (c *Contexts) checkSequence(s *oscore.Sequence) {
	if c.SequenceLow != nil && s != nil && s.NeedsReserve() {
		c.SequenceLow(s)
	}
}

func oscorePeer(ctx *oscore.Context, assoc any) Peer {
	return Peer{Mode: OSCORE, SenderID: ctx.RecipientID(), Gid: ctx.IDContext(), Association: assoc}
}

// refusal turns an error of package oscore into what the endpoint may answer.
func refusal(err error) error {
	if code, diagnostic, _, ok := oscore.ErrorResponse(err); ok {
		return &Refusal{Code: code, Diagnostic: diagnostic, Err: err}
	}
	return err
}

func (c *Contexts) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}
