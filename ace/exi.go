package ace

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cohort-iot/cohort/internal/clock"
)

var (
	// ErrExiExpired is wrapped when a token with the claim exi counts as expired.
	ErrExiExpired = errors.New("token with exi has expired")
	// ErrExiFull is wrapped when no more tokens with the claim exi can be kept.
	ErrExiFull = errors.New("too many tokens with exi")
)

// ExiTable knows when tokens end that say for how many seconds they are valid from their first arrival (claim exi; RFC 9200,
// Section 5.10.3). It keeps the arrival of each until its time has passed and, for each issuer, the highest sequence number of
// those whose time has: a token with that or a lower number counts as expired, unless it is known and still runs. It is safe for
// concurrent use.
//
// A restart must not begin their time anew: what changed is written by [ExiTable.Save] at regular intervals and at the end.
type ExiTable struct {
	clock clock.Clock
	store ExiStore
	max   int

	mu      sync.Mutex
	dirty   bool
	issuers map[string]*ExiIssuer
}

// ExiStore keeps an [ExiTable] durably.
type ExiStore interface {
	LoadExi() ([]ExiIssuer, error)
	SaveExi(ctx context.Context, all []ExiIssuer) error
}

// ExiIssuer is what is kept of the tokens of one issuer.
type ExiIssuer struct {
	Issuer  string
	Expired uint64 // highest sequence number of an expired token; 0: none
	Live    []ExiToken
}

// ExiToken is one token whose time runs.
type ExiToken struct {
	Number   uint64
	Hash     TokenHash
	Deadline time.Time
}

// defaultMaxExi bounds the running tokens of one issuer.
const defaultMaxExi = 4096

// NewExiTable returns the table that store holds, of at most max running tokens for each issuer; 0 stands for 4096.
func NewExiTable(c clock.Clock, store ExiStore, max int) (*ExiTable, error) {
	if max == 0 {
		max = defaultMaxExi
	}
	t := &ExiTable{clock: c, store: store, max: max, issuers: make(map[string]*ExiIssuer)}
	all, err := store.LoadExi()
	if err != nil {
		return nil, fmt.Errorf("load tokens with exi: %w", err)
	}
	for _, i := range all {
		t.issuers[i.Issuer] = &i
	}
	return t, nil
}

// admit returns when a token ends: exi after it was first seen, which is now if it is not known yet. Errors wrap
// [ErrExiExpired] or [ErrExiFull].
func (t *ExiTable) admit(issuer string, number uint64, exi time.Duration, h TokenHash) (time.Time, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	t.expunge(now)
	i := t.issuers[issuer]
	if i == nil {
		i = &ExiIssuer{Issuer: issuer}
		t.issuers[issuer] = i
	}
	at := slices.IndexFunc(i.Live, func(e ExiToken) bool { return e.Number == number })
	switch {
	case at >= 0 && i.Live[at].Hash == h:
		return i.Live[at].Deadline, nil
	case at >= 0:
		return time.Time{}, otherToken(number)
	case number <= i.Expired:
		return time.Time{}, exiExpired(number, i.Expired)
	case len(i.Live) >= t.max:
		return time.Time{}, exiFull(t.max, issuer)
	}
	e := ExiToken{Number: number, Hash: h, Deadline: now.Add(exi)}
	i.Live = append(i.Live, e)
	t.dirty = true
	return e.Deadline, nil
}

// check says whether admit would take a token, and changes nothing.
func (t *ExiTable) check(issuer string, number uint64, h TokenHash) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.issuers[issuer]
	if i == nil {
		return nil
	}
	now := t.clock.Now()
	expired, live := i.Expired, 0
	for _, e := range i.Live {
		if !now.Before(e.Deadline) {
			expired = max(expired, e.Number)
			continue
		}
		if live++; e.Number == number {
			if e.Hash == h {
				return nil
			}
			return otherToken(number)
		}
	}
	switch {
	case number <= expired:
		return exiExpired(number, expired)
	case live >= t.max:
		return exiFull(t.max, issuer)
	}
	return nil
}

func otherToken(number uint64) error {
	return fmt.Errorf("%w: another token has its number %d", ErrExiExpired, number)
}

func exiExpired(number, highest uint64) error {
	return fmt.Errorf("%w: its number %d is not above %d", ErrExiExpired, number, highest)
}

func exiFull(most int, issuer string) error {
	return fmt.Errorf("%w: %d of %q", ErrExiFull, most, issuer)
}

// Expunge takes the tokens off the list whose time has passed. It is to be called regularly.
func (t *ExiTable) Expunge() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expunge(t.clock.Now())
}

func (t *ExiTable) expunge(now time.Time) {
	for _, i := range t.issuers {
		i.Live = slices.DeleteFunc(i.Live, func(e ExiToken) bool {
			over := !now.Before(e.Deadline)
			if over {
				i.Expired, t.dirty = max(i.Expired, e.Number), true
			}
			return over
		})
	}
}

// Raise notes that a token of an issuer with a sequence number has expired, whether it was seen or not (RFC 9770,
// Section 11.1).
func (t *ExiTable) Raise(issuer string, number uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.issuers[issuer]
	if i == nil {
		i = &ExiIssuer{Issuer: issuer}
		t.issuers[issuer] = i
	}
	if number > i.Expired {
		i.Expired, t.dirty = number, true
	}
}

// Number returns the sequence number of a running token.
func (t *ExiTable) Number(issuer string, h TokenHash) (number uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := t.issuers[issuer]; i != nil {
		for _, e := range i.Live {
			if e.Hash == h {
				return e.Number, true
			}
		}
	}
	return 0, false
}

// Save writes the table, if it has changed since it was written last.
func (t *ExiTable) Save(ctx context.Context) error {
	t.mu.Lock()
	t.expunge(t.clock.Now())
	if !t.dirty {
		t.mu.Unlock()
		return nil
	}
	all := make([]ExiIssuer, 0, len(t.issuers))
	for _, i := range t.issuers {
		all = append(all, ExiIssuer{i.Issuer, i.Expired, slices.Clone(i.Live)})
	}
	t.dirty = false
	t.mu.Unlock()
	slices.SortFunc(all, func(a, b ExiIssuer) int { return bytes.Compare([]byte(a.Issuer), []byte(b.Issuer)) })
	if err := t.store.SaveExi(ctx, all); err != nil {
		t.mu.Lock()
		t.dirty = true
		t.mu.Unlock()
		return fmt.Errorf("save tokens with exi: %w", err)
	}
	return nil
}

// exiNumberSize is the size of the sequence number in the claims cti that [ExiID] makes, in bytes.
const exiNumberSize = 8

// ExiID returns the claim cti of a token with the claim exi: the name of the Resource Server and the number of such tokens that
// this issuer has made for it, from 1 (RFC 9200, Section 5.10.3).
func ExiID(audience string, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(audience), number)
}

// exiNumber reads the sequence number from a claim cti for a Resource Server. It may have 1 to 8 bytes.
func exiNumber(cti []byte, audience string) (uint64, error) {
	rest, ok := bytes.CutPrefix(cti, []byte(audience))
	if !ok || len(rest) == 0 || len(rest) > exiNumberSize {
		return 0, fmt.Errorf("%w: cti does not name this resource server and a number", ErrMalformed)
	}
	var b [exiNumberSize]byte
	copy(b[exiNumberSize-len(rest):], rest)
	n := binary.BigEndian.Uint64(b[:])
	if n == 0 {
		return 0, fmt.Errorf("%w: number 0 in cti", ErrMalformed)
	}
	return n, nil
}
