package endpoint

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// route finds the socket that a request leaves by, and opens a connection if
// there has to be one. A request with the token of another exchange goes where
// that one went.
func (e *Endpoint) route(ctx context.Context, r *Request, x, token *exchange) error {
	switch {
	case token != nil && token.sock.conn != nil:
		x.sock, x.to = token.sock, token.to
		return nil
	case r.Via == ViaUDP:
		x.sock = e.socketFor(r.To.Addr())
		return nil
	case x.multi:
		return fmt.Errorf("%w: groups are reached by %s only", ErrRequest, ViaUDP)
	case r.Via >= numVias:
		return fmt.Errorf("%w: %s", ErrRequest, r.Via)
	}
	s, err := e.conns.get(ctx, r.Via, r.To)
	if err != nil {
		return err
	}
	x.sock, x.to = s, s.remote(r.To)
	return nil
}

// message parses what arrived.
func (a *arrival) message() (message.Message, error) {
	if a.sock.stream() {
		return coapmsg.ParseFrame(a.data)
	}
	return coapmsg.ParseDatagram(a.data)
}

// tokenLength is how long the token of a request is: as configured, if the
// server is known to take it or not known not to (RFC 8974, Section 2.2).
func (e *Endpoint) tokenLength(x *exchange) int {
	n := e.cfg.TokenLength
	switch {
	case n == tokenSize:
		return n
	case x.sock.stream():
		if n > int(x.sock.conn.stream.peerToken.Load()) {
			return tokenSize
		}
	case e.plainTokens.has(x.to, e.cfg.Clock.Now()):
		return tokenSize
	}
	return n
}

// shortenToken decides whether a request that was rejected is worth another try,
// with a token of 8 bytes: a server that knows no longer ones rejects them as
// malformed (RFC 8974, Section 2.2.2).
func (e *Endpoint) shortenToken(x *exchange, err error) bool {
	if !errors.Is(err, ErrReset) || len(x.token) <= tokenSize {
		return false
	}
	e.plainTokens.add(x.to, e.cfg.Clock.Now())
	return true
}

// remoteSet remembers some remotes for a while; the oldest make room.
type remoteSet struct {
	mu   sync.Mutex
	m    map[remote]time.Time
	list []remote
}

func (s *remoteSet) has(r remote, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.m[r]
	return ok && now.Before(until)
}

func (s *remoteSet) add(r remote, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[remote]time.Time)
	}
	if _, there := s.m[r]; !there {
		if len(s.list) >= plainTokens {
			delete(s.m, s.list[0])
			s.list = s.list[1:]
		}
		s.list = append(s.list, r)
	}
	s.m[r] = now.Add(plainTokenTime)
}

// validateTokens checks the lengths of tokens in a configuration.
func (c *Config) validateTokens() (errs []error) {
	if n := c.TokenLength; n != 0 && n != tokenSize && (n < 13 || n > coapmsg.MaxExtendedToken) {
		errs = append(errs, fmt.Errorf("TokenLength %d is neither 8 nor from 13 to %d", n, coapmsg.MaxExtendedToken))
	}
	if n := c.MaxToken; n != 0 && (n < tokenSize || n > coapmsg.MaxExtendedToken) {
		errs = append(errs, fmt.Errorf("MaxToken %d is not from 8 to %d", n, coapmsg.MaxExtendedToken))
	}
	return errs
}
