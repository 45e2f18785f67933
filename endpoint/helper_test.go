package endpoint_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	"go.uber.org/goleak"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	serverAddr = netip.MustParseAddrPort("10.0.0.1:5683")
	clientAddr = netip.MustParseAddrPort("10.0.0.2:40000")
	groupAddr  = netip.MustParseAddrPort("224.0.1.187:5683")
	otherAddr  = netip.MustParseAddrPort("10.0.0.3:5683")
	lateAddr   = netip.MustParseAddrPort("10.0.0.4:40000")
)

// toy protects like OSCORE does as far as an endpoint can see: an AEAD under a
// key that all share, a sequence number that is spent, the option with kid and
// Partial IV. It is no OSCORE.
type toy struct {
	id      byte
	seq     atomic.Uint64
	invalid atomic.Bool // requests have to be proven fresh
	opened  atomic.Int64
}

func toyAEAD() cipher.AEAD {
	b, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(b)
	if err != nil {
		panic(err)
	}
	return a
}

func toyNonce(id byte, piv []byte) []byte {
	n := make([]byte, 12)
	n[0] = id
	copy(n[12-len(piv):], piv)
	return n
}

func (t *toy) protect(m message.Message, code codes.Code) (message.Message, error) {
	outer, pt, err := coapmsg.Split(m)
	if err != nil {
		return m, err
	}
	piv := coapmsg.EncodePIV(t.seq.Add(1))
	opt := coapmsg.OSCOREOption{PIV: piv, KID: []byte{t.id}}
	return message.Message{
		Code:    code,
		Options: coapmsg.Insert(outer, message.Option{ID: coapmsg.OSCORE, Value: opt.Append(nil)}),
		Payload: toyAEAD().Seal(nil, toyNonce(t.id, piv), pt, nil),
	}, nil
}

var errToy = errors.New("toy: does not verify")

func (t *toy) open(m message.Message, opt coapmsg.OSCOREOption) (message.Message, error) {
	if len(opt.KID) != 1 || opt.PIV == nil {
		return m, errToy
	}
	pt, err := toyAEAD().Open(nil, toyNonce(opt.KID[0], opt.PIV), m.Payload, nil)
	if err != nil {
		return m, errToy
	}
	return coapmsg.Join(m, pt)
}

func (t *toy) ProtectRequest(m message.Message) (message.Message, endpoint.ResponseOpener, error) {
	m, err := t.protect(m, codes.POST)
	return m, t, err
}

func (t *toy) OpenResponse(m message.Message, _ time.Time) (message.Message, endpoint.Peer, error) {
	v, _ := coapmsg.FindOSCORE(m.Options)
	opt, err := coapmsg.ParseOSCOREOption(v)
	if err != nil {
		return m, endpoint.Peer{}, err
	}
	m, err = t.open(m, opt)
	return m, endpoint.Peer{Mode: endpoint.OSCORE, SenderID: opt.KID}, err
}

func (t *toy) OpenRequest(m message.Message, opt coapmsg.OSCOREOption, _ netip.AddrPort, _ bool) (*endpoint.Opened, error) {
	if len(opt.KID) == 1 && opt.KID[0] == 0xff {
		return nil, endpoint.ErrNoContext
	}
	in, err := t.open(m, opt)
	if err != nil {
		return nil, &endpoint.Refusal{Code: codes.BadRequest, Diagnostic: "Decryption failed", Err: err}
	}
	t.opened.Add(1)
	o := &endpoint.Opened{
		Message: in,
		Peer:    endpoint.Peer{Mode: endpoint.OSCORE, SenderID: opt.KID, Association: "toy"},
		Protect: func(resp message.Message, _ endpoint.ProtectOptions) (message.Message, error) {
			return t.protect(resp, codes.Changed)
		},
	}
	if t.invalid.Load() {
		o.Fresh = func() error { t.invalid.Store(false); return nil }
	}
	return o, nil
}

// resources is a server with resources of every kind, and counters.
type resources struct {
	*endpoint.Mux
	runs    atomic.Int64
	release chan struct{}
}

func newResources() *resources {
	r := &resources{Mux: endpoint.NewMux(), release: make(chan struct{})}
	any := endpoint.AcceptPlain | endpoint.AcceptOSCORE
	r.Handle("/a", any, mux.HandlerFunc(func(w mux.ResponseWriter, m *mux.Message) {
		n := r.runs.Add(1)
		body, _ := m.ReadBody()
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(fmt.Appendf(nil, "%d:%d:%s", n, m.Code(), body)))
	}))
	r.Handle("/secret", endpoint.AcceptOSCORE, mux.HandlerFunc(func(w mux.ResponseWriter, m *mux.Message) {
		r.runs.Add(1)
		p, _ := endpoint.PeerFrom(m.Context())
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(fmt.Appendf(nil, "%x %v", p.SenderID, p.Association)))
	}))
	r.Handle("/slow", any, mux.HandlerFunc(func(w mux.ResponseWriter, m *mux.Message) {
		r.runs.Add(1)
		select {
		case <-r.release:
		case <-m.Context().Done():
		}
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte("slow")))
	}))
	r.Handle("/panic", any, mux.HandlerFunc(func(mux.ResponseWriter, *mux.Message) { panic("in a handler") }))
	r.Handle("/silent", any, mux.HandlerFunc(func(mux.ResponseWriter, *mux.Message) { r.runs.Add(1) }))
	return r
}

// start makes an endpoint that ends with the test.
func start(t testing.TB, cfg endpoint.Config) *endpoint.Endpoint {
	t.Helper()
	e, err := endpoint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// raw is a peer made of single datagrams.
type raw struct {
	t testing.TB
	netsim.Transport
}

func listenRaw(t testing.TB, n *netsim.Network, addr netip.AddrPort) *raw {
	t.Helper()
	c, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &raw{t, c}
}

func (r *raw) send(to netip.AddrPort, b []byte) {
	r.t.Helper()
	if err := r.WriteTo(b, to, netip.Addr{}, 0, 0); err != nil {
		r.t.Fatal(err)
	}
}

// next waits up to d for a datagram; nil if none comes.
func (r *raw) next(d time.Duration) []byte {
	r.t.Helper()
	type got struct {
		b   []byte
		err error
	}
	ch := make(chan got, 1)
	stop := time.AfterFunc(d, func() {
		// A datagram to oneself ends the wait without closing the socket.
		_ = r.WriteTo(nil, r.LocalAddr(), netip.Addr{}, 0, 0)
	})
	defer stop.Stop()
	go func() {
		b := make([]byte, 2048)
		n, _, _, _, err := r.ReadFrom(b)
		ch <- got{b[:n], err}
	}()
	g := <-ch
	if g.err != nil {
		r.t.Fatal(g.err)
	}
	if len(g.b) == 0 {
		return nil
	}
	return g.b
}

func (r *raw) nextMessage(d time.Duration) message.Message {
	r.t.Helper()
	b := r.next(d)
	if b == nil {
		r.t.Fatalf("nothing received in %v", d)
	}
	m, err := coapmsg.ParseDatagram(b)
	if err != nil {
		r.t.Fatalf("%x: %v", b, err)
	}
	return m
}

func (r *raw) nothing(d time.Duration) {
	r.t.Helper()
	if b := r.next(d); b != nil {
		r.t.Fatalf("received %x", b)
	}
}

// encode makes a datagram.
func encode(t testing.TB, m message.Message) []byte {
	t.Helper()
	b, err := coapmsg.AppendDatagram(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// get makes a plain request datagram.
func get(t testing.TB, typ message.Type, mid int32, path string, opts ...message.Option) []byte {
	t.Helper()
	o := message.Options{{ID: message.URIPath, Value: []byte(path)}}
	for _, x := range opts {
		o = coapmsg.Insert(o, x)
	}
	return encode(t, message.Message{Type: typ, MessageID: mid, Token: binary.BigEndian.AppendUint32(nil, uint32(mid)), Code: codes.GET, Options: o})
}

func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func ptr[T any](v T) *T { return &v }
