package oscore

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/internal/replay"
)

// Invalidate says that the replay window was lost, as after a restart that was
// not clean. From now on UnprotectRequest returns ErrWindowInvalid, with a
// verified message that may be a replay, until ConfirmFresh.
func (c *Context) Invalidate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window.Invalidate()
}

// WindowValid reports whether replays are recognised.
func (c *Context) WindowValid() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.window.Valid()
}

// ConfirmFresh says that the request of x, for which UnprotectRequest returned
// ErrWindowInvalid, is fresh: it carried an Echo value this endpoint made after
// it lost the window (RFC 8613, Appendix B.1.2; RFC 9175, Section 2.3). The
// request's Partial IV becomes the lower limit of the window, which is valid
// again. Only if nil is returned the request may be acted upon; ErrReplay means
// that a copy of it came first. A request that was accepted at once needs no
// confirmation and says nothing about the window: nil, and nothing changes.
func (c *Context) ConfirmFresh(x *Exchange) error {
	if x == nil || x.ctx != c || x.client {
		return ErrExchange
	}
	if !x.noReuse {
		return nil
	}
	seq := x.RequestSequence()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.window.Valid() {
		return windowError(c.window.Accept(seq))
	}
	c.window.Resync(seq)
	return nil
}

// StopWindow returns the replay window for RestoreWindow and invalidates it,
// so that nothing is accepted after it was saved (RFC 8613, Section 12.8).
func (c *Context) StopWindow() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := c.window.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("save replay window: %w", err)
	}
	c.window.Invalidate()
	return b, nil
}

// RestoreWindow takes over a window that StopWindow gave at a clean stop. It
// must be given once only: what was stored is to be destroyed before the
// context receives anything.
func (c *Context) RestoreWindow(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.window.UnmarshalBinary(b); err != nil {
		return fmt.Errorf("restore replay window: %w", err)
	}
	return nil
}

// check and accept give the window's verdict as an error of this package.
func (c *Context) check(seq uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return windowError(c.window.Check(seq))
}

func (c *Context) accept(seq uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return windowError(c.window.Accept(seq))
}

func windowError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, replay.ErrInvalid):
		return ErrWindowInvalid
	}
	return ErrReplay
}
