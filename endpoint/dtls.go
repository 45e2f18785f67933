package endpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
)

// DTLSConfig is how an endpoint speaks CoAP over DTLS 1.2 with pre-shared keys
// (RFC 7252, Section 9.1.3.1): TLS_PSK_WITH_AES_128_CCM_8. The zero value
// neither accepts nor opens sessions. The zero value of the other fields means
// their defaults.
type DTLSConfig struct {
	// Listen are the addresses to accept sessions on, usually with port 5684;
	// port 0 picks a free one.
	Listen []netip.AddrPort
	// PSK returns the key of a client's identity, or an error if there is no
	// such client; whoever asks cannot tell that from a wrong key. It is called
	// by several goroutines and may take its time. Listen needs it.
	PSK func(identity []byte) (key []byte, err error)
	// Credentials returns what this endpoint is known by at a server, and the
	// key. Requests with ViaDTLS need it.
	Credentials func(server netip.AddrPort) (identity, key []byte, err error)

	// MaxSessions is how many sessions there may be, in both directions
	// together. A further one takes the place of the one that has been idle
	// for longest, or is refused if all are in use. Default 1024.
	MaxSessions int
	// PerHost is how many of them one IPv4 address or one IPv6 network of 64
	// bits may have opened. Default: an eighth of MaxSessions, at least 4.
	PerHost int
	// Handshakes is how many handshakes with clients may be going on. A
	// further one takes the place of the oldest whose client has not shown
	// yet that it is where it says. Default 64.
	Handshakes int
	// IdleTime is after how long a silent session that nothing is expected of
	// ends. Default 24 h.
	IdleTime time.Duration
	// Patience is how long a handshake may take. Default 20 s.
	Patience time.Duration
}

func (c *DTLSConfig) validate() []error {
	errs := checkListen("DTLS", c.Listen)
	if len(c.Listen) > 0 && c.PSK == nil {
		errs = append(errs, errors.New("DTLS.Listen needs DTLS.PSK"))
	}
	return append(errs, notNegative("DTLS", []limit{
		{"MaxSessions", c.MaxSessions}, {"PerHost", c.PerHost}, {"Handshakes", c.Handshakes},
		{"IdleTime", int(c.IdleTime)}, {"Patience", int(c.Patience)},
	})...)
}

func (c DTLSConfig) withDefaults() DTLSConfig {
	def(&c.MaxSessions, defaultSessions)
	def(&c.PerHost, max(4, c.MaxSessions/8))
	def(&c.Handshakes, defaultHandshakes)
	def(&c.IdleTime, defaultSessionIdle)
	def(&c.Patience, defaultHandshakeTime)
	return c
}

// listenDTLS opens the sockets of the configuration.
func (e *Endpoint) listenDTLS() error {
	for _, a := range e.cfg.DTLS.Listen {
		p, err := e.openPort(a, true)
		if err != nil {
			return fmt.Errorf("listen on %s %s: %w", ViaDTLS, a, err)
		}
		e.listeners = append(e.listeners, listener{ViaDTLS, p.t.LocalAddr(), p})
	}
	return nil
}

// errNoClient hides from log and peer alike whether an identity is known.
var errNoClient = errors.New("identity is not usable")

// serverPSK looks up the key of a client. An unknown identity gets a random key,
// so that the handshake ends as with a wrong one (RFC 4279, Section 5.4).
func (s *session) serverPSK(identity []byte) ([]byte, error) {
	s.prove(identity)
	if len(identity) == 0 || len(identity) > maxIdentity {
		return nil, errNoClient
	}
	key, err := s.e.cfg.DTLS.PSK(identity)
	if err == nil && len(key) > 0 {
		return key, nil
	}
	s.e.cfg.Log.Debug("no key for a DTLS identity", "peer", s.addr, "error", err)
	key = make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return key, nil
}

// dialDTLS opens a session with a server, by a socket for sessions that this
// endpoint opens.
func (e *Endpoint) dialDTLS(ctx context.Context, to netip.AddrPort) (*socket, error) {
	if e.cfg.DTLS.Credentials == nil {
		return nil, ErrVia
	}
	identity, key, err := e.cfg.DTLS.Credentials(to)
	if err != nil {
		return nil, fmt.Errorf("credentials for %s: %w", to, err)
	}
	if len(identity) == 0 || len(identity) > maxIdentity || len(key) == 0 {
		return nil, fmt.Errorf("credentials for %s: %w", to, errNoClient)
	}
	p, err := e.clientPort(to.Addr())
	if err != nil {
		return nil, err
	}
	s := p.newSession(to, true)
	if !p.enter(s) {
		return nil, ErrBusy
	}
	c, err := dtls.ClientWithOptions(s, s.netAddr(),
		dtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
		dtls.WithPSKIdentityHint(identity),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8),
		dtls.WithReplayProtectionWindow(dtlsReplayWindow),
	)
	if err == nil {
		s.conn = c
		err = c.HandshakeContext(ctx)
	}
	if err != nil {
		s.abandon()
		return nil, err
	}
	p.establish(s)
	return s.socket, nil
}

// serve runs the handshake with a client and then its session.
func (s *session) serve() {
	ctx, cancel := context.WithTimeout(s.e.ctx, s.e.cfg.DTLS.Patience)
	defer cancel()
	context.AfterFunc(s.gone, cancel)
	c, err := dtls.ServerWithOptions(s, s.netAddr(),
		dtls.WithPSK(s.serverPSK),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8),
		dtls.WithReplayProtectionWindow(dtlsReplayWindow),
	)
	if err == nil {
		s.conn = c
		err = c.HandshakeContext(ctx)
	}
	if err != nil {
		s.e.drop(DropHandshake)
		s.e.cfg.Log.Debug("handshake failed", "peer", s.addr, "error", err)
		s.abandon()
		return
	}
	s.socket.conn.identity = s.proven()
	if old := s.port.establish(s); old != nil {
		old.socket.conn.stop(errReplaced)
	}
	if err := s.e.conns.add(s.socket); err != nil {
		s.e.drop(DropConnection)
		s.end(err)
		return
	}
	s.read()
}
