package endpoint

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
)

// tokenTable finds the exchange of a response.
type tokenTable struct {
	mu    sync.Mutex
	m     map[[tokenSize]byte]*exchange
	limit int
}

func newTokenTable(limit int) *tokenTable {
	return &tokenTable{m: make(map[[tokenSize]byte]*exchange), limit: limit}
}

// add draws a token of n bytes that is not in use and registers x with it.
func (t *tokenTable) add(x *exchange, n int, rand io.Reader) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.m) >= t.limit {
		return ErrBusy
	}
	x.token = make(message.Token, n)
	for {
		if _, err := io.ReadFull(rand, x.token); err != nil {
			return fmt.Errorf("randomness for a token: %w", err)
		}
		x.key8 = [tokenSize]byte(x.token)
		if t.m[x.key8] == nil {
			t.m[x.key8] = x
			return nil
		}
	}
}

func (t *tokenTable) remove(x *exchange) {
	t.mu.Lock()
	delete(t.m, x.key8)
	t.mu.Unlock()
}

// find returns the exchange that a response with this token from this address
// belongs to. A response to a group request may come from anywhere
// (draft-ietf-core-groupcomm-bis, Section 3.1.4).
func (t *tokenTable) find(token []byte, from remote) *exchange {
	if len(token) < tokenSize {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	x := t.m[[tokenSize]byte(token[:tokenSize])]
	if x == nil || !bytes.Equal(x.token, token) || !x.multi && x.to != from || x.multi && from.conn != nil {
		return nil
	}
	return x
}

// admit counts a response to a group request, so that one member of the group
// cannot fill the queue for all.
func (t *tokenTable) admit(x *exchange, from netip.Addr) bool {
	if x.sources == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	n := x.sources[from]
	if n >= responsesPerSource || n == 0 && len(x.sources) >= maxSources {
		return false
	}
	x.sources[from] = n + 1
	return true
}
