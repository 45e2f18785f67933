package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// TCPConfig is how an endpoint speaks CoAP over TCP (RFC 8323). The zero value
// accepts no connections and opens them for requests with ViaTCP. The zero
// value of every field but Listen means its default.
type TCPConfig struct {
	// Listen are the addresses to accept connections on; port 0 picks a free
	// one. Default: none.
	Listen []netip.AddrPort
	// MaxConnections is how many connections may be open, in both directions
	// together. A further one takes the place of the one that has been idle
	// for longest, or is refused if all are in use. Default 256.
	MaxConnections int
	// PerHost is how many of them one IPv4 address or one IPv6 network of 64
	// bits may have opened. Default: an eighth of MaxConnections, at least 4.
	PerHost int
	// MaxMessageSize is the longest message that is received, in bytes,
	// announced to the peer; at least 1152. Default 65536.
	MaxMessageSize int
	// SendBuffer is how many bytes may wait to be taken by a slow peer before
	// its connection is given up. Default 262144.
	SendBuffer int
	// IdleTime is after how long a silent peer is asked for a sign of life.
	// A connection that this endpoint opened and does not use is closed then.
	// Default 5 min.
	IdleTime time.Duration
	// Patience is how long opening a connection, the first message, the rest
	// of a message begun, or a sign of life may take. Default 10 s.
	Patience time.Duration
}

func (c *TCPConfig) validate() []error {
	errs := checkListen("TCP", c.Listen)
	errs = append(errs, notNegative("TCP", []limit{
		{"MaxConnections", c.MaxConnections}, {"PerHost", c.PerHost}, {"SendBuffer", c.SendBuffer},
		{"IdleTime", int(c.IdleTime)}, {"Patience", int(c.Patience)},
	})...)
	if c.MaxMessageSize != 0 && c.MaxMessageSize < coapmsg.BaseMessageSize {
		errs = append(errs, fmt.Errorf("TCP.MaxMessageSize is below %d", coapmsg.BaseMessageSize))
	}
	return errs
}

func (c TCPConfig) withDefaults() TCPConfig {
	def(&c.MaxConnections, defaultConnections)
	def(&c.PerHost, max(4, c.MaxConnections/8))
	def(&c.MaxMessageSize, defaultMessageSize)
	def(&c.SendBuffer, defaultSendBuffer)
	def(&c.IdleTime, defaultIdleTime)
	def(&c.Patience, defaultPatience)
	return c
}

// takesBERT says whether the CSM of this endpoint lets peers send BERT blocks.
func (c *TCPConfig) takesBERT() bool { return c.MaxMessageSize > coapmsg.BaseMessageSize }

type limit struct {
	name string
	n    int
}

func checkListen(of string, addrs []netip.AddrPort) (errs []error) {
	for _, a := range addrs {
		if !a.Addr().IsValid() || a.Addr().IsMulticast() {
			errs = append(errs, fmt.Errorf("%s.Listen: %s is no unicast address", of, a))
		}
	}
	return errs
}

func notNegative(of string, limits []limit) (errs []error) {
	for _, l := range limits {
		if l.n < 0 {
			errs = append(errs, fmt.Errorf("%s.%s is negative", of, l.name))
		}
	}
	return errs
}

// def sets v to its default if it is zero.
func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// StreamNetwork is a Network that has TCP connections too. [UDP] is one.
type StreamNetwork interface {
	Network
	// ListenStream accepts connections; port 0 picks a free one.
	ListenStream(addr netip.AddrPort) (net.Listener, error)
	// DialStream opens a connection.
	DialStream(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// ListenStream implements StreamNetwork. Like a unicast socket a listener
// belongs to one address family.
func (UDP) ListenStream(addr netip.AddrPort) (net.Listener, error) {
	return net.ListenTCP(family("tcp", addr), net.TCPAddrFromAddrPort(addr))
}

// DialStream implements StreamNetwork.
func (UDP) DialStream(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, family("tcp", to), to.String())
}

func family(network string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return network + "4"
	}
	return network + "6"
}

// listenTCP opens the listeners of the configuration.
func (e *Endpoint) listenTCP() error {
	if len(e.cfg.TCP.Listen) == 0 {
		return nil
	}
	network, ok := e.cfg.Network.(StreamNetwork)
	if !ok {
		return fmt.Errorf("listen on %s: %w", ViaTCP, ErrVia)
	}
	for _, a := range e.cfg.TCP.Listen {
		l, err := network.ListenStream(a)
		if err != nil {
			return fmt.Errorf("listen on %s %s: %w", ViaTCP, a, err)
		}
		e.listeners = append(e.listeners, listener{ViaTCP, streamAddr(l.Addr()), l})
		e.wg.Go(func() { e.accept(l) })
	}
	return nil
}

// accept takes connections. What a connection costs before it is admitted is
// its file descriptor, for a moment.
func (e *Endpoint) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if e.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			e.cfg.Log.Debug("accept failed", "listener", l.Addr(), "error", err)
			if !e.pause(10 * time.Millisecond) {
				return
			}
			continue
		}
		s := e.newStream(c, false)
		if err := e.conns.add(s); err != nil {
			e.drop(DropConnection)
			e.cfg.Log.Debug("connection refused", "peer", c.RemoteAddr(), "error", err)
			c.Close()
			continue
		}
		s.conn.stream.start()
	}
}

// dialTCP opens a connection.
func (e *Endpoint) dialTCP(ctx context.Context, to netip.AddrPort) (*socket, error) {
	network, ok := e.cfg.Network.(StreamNetwork)
	if !ok {
		return nil, ErrVia
	}
	c, err := network.DialStream(ctx, to)
	if err != nil {
		return nil, err
	}
	return e.newStream(c, true), nil
}

func streamAddr(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		ap, _ := netip.ParseAddrPort(a.String())
		return unmap(ap)
	}
	return unmap(t.AddrPort())
}
