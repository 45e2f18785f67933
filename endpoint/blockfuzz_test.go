package endpoint

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// script reads small decisions from fuzzed bytes.
type script struct{ b []byte }

func (s *script) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *script) bytes(n int) []byte {
	n = min(n, len(s.b))
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

// options draws options that block-wise transfer and Observe go by.
func (s *script) options() (opts message.Options) {
	which := s.byte()
	for i, id := range []message.OptionID{message.Block1, message.Block2, message.Observe, message.ETag, message.Size1, message.Size2, coapmsg.RequestTag, coapmsg.Echo} {
		if which>>i&1 == 1 {
			opts = coapmsg.Insert(opts, message.Option{ID: id, Value: s.bytes(int(s.byte() % 5))})
		}
	}
	return opts
}

// FuzzTransfers plays clients that send blocks, ask for blocks, register,
// acknowledge and reject in any order. Whatever they do: what they make the
// server hold is bounded, one request has at most one answer, and no answer to
// an address that is not validated is longer than three times its datagram.
func FuzzTransfers(f *testing.F) {
	for _, s := range []string{
		"\x01\x01\x01\x08\x10", "\x02\x02\x01\x00\x00", "\x00\x04\x00\x00", "\x00\x04\x00\x00\xf0\xf1\xf2", "\x01\x03\x01\x08\x01\x00\x20\x01\x01\x01\x10\x10",
		"\x00\x02\x01\x16\x00\x00\x02\x02\x01\x16\x00", "\x04\x06\x01\x00\x01\x00\x08\xf0\x00\x04\x00\x00\xf2\xf1",
	} {
		f.Add([]byte(s))
	}
	m := NewMux()
	long := bytes.Repeat([]byte("0123456789abcdef"), 200)
	m.Handle("/a", AcceptPlain, Observable(mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		body, err := r.ReadBody()
		if err != nil {
			panic(err)
		}
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(long[:len(long)-len(body)%1000]))
	})))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &sink{addr: netip.MustParseAddrPort("10.0.0.1:5683")}
		e, err := prepare(Config{
			Unicast: s.addr, Handler: m, Workers: 1, BlockBytes: 128 << 10, MaxBody: 4096, Observations: 64, ObservationsPerPeer: 3,
			Clock: clock.NewFake(time.Unix(1, 0)), // nothing is acknowledged or sent again for a delay of the machine
		}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		e.unicast = []*socket{{Transport: s, local: s.addr}}
		defer e.Close()
		script := &script{data}
		for mid := uint16(0); len(script.b) > 0 && mid < 200; mid++ {
			op := script.byte()
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 2 + op>>3&1}), 9)
			before := len(s.sent)
			switch op >> 4 {
			case 15:
				e.Notify("/a")
				for ob := e.observers.next(); ob != nil; ob = e.observers.next() {
					e.observers.run(ob)
				}
				continue
			case 14: // acknowledge or reject what came last
				if before > 0 {
					last := s.sent[before-1]
					e.receive(datagram{data: []byte{0x60 | op<<4&0x10, 0, last[2], last[3]}, from: from, to: s.addr, sock: e.unicast[0]})
				}
				continue
			}
			req := message.Message{
				Type: message.Type(op >> 2 & 1), Code: codes.Code(1 + op%7), MessageID: int32(mid), Token: []byte{op >> 6},
				Options: coapmsg.Insert(script.options(), message.Option{ID: message.URIPath, Value: []byte("a")}),
				Payload: long[:int(script.byte())*8],
			}
			b, err := coapmsg.AppendDatagram(nil, req)
			if err != nil {
				continue
			}
			e.receive(datagram{data: b, from: from, to: s.addr, sock: e.unicast[0]})
			serveAll(e)
			if len(s.sent) > before+1 {
				t.Fatalf("%x is answered %d times", b, len(s.sent)-before)
			}
			for _, a := range s.sent[before:] {
				if _, err := coapmsg.ParseDatagram(a); err != nil {
					t.Fatalf("%x: %v", a, err)
				}
				if who := (remote{addr: from}); len(a)+28 > 3*(len(b)+28) && !e.addresses.reached(who, from, e.cfg.Clock.Now()) {
					t.Fatalf("%x is answered by %x", b, a)
				}
			}
		}
		e.observers.mu.Lock()
		total, peers := e.observers.total, len(e.observers.peers)
		e.observers.mu.Unlock()
		if n := e.transfers.held(); n > 16<<10 || total > 6 || peers > 2 || len(e.transmit.pending) > 16 {
			t.Fatalf("%d bytes, %d observers of %d peers, %d messages", n, total, peers, len(e.transmit.pending))
		}
	})
}

// answerer is a network on which every request is answered at once by what the
// script says.
type answerer struct {
	mu     sync.Mutex
	script *script
	in     chan []byte
	addr   netip.AddrPort
	empty  func() // the script is at its end
	done   chan struct{}
	once   sync.Once
}

func (a *answerer) Listen(netip.AddrPort) (Transport, error)              { return a, nil }
func (a *answerer) ListenGroup(netip.AddrPort, string) (Transport, error) { return a, nil }
func (a *answerer) InterfaceIndex(string) (int, error)                    { return 1, nil }
func (a *answerer) LocalAddr() netip.AddrPort                             { return a.addr }
func (a *answerer) Close() error                                          { a.once.Do(func() { close(a.done) }); return nil }

func (a *answerer) ReadFrom(b []byte) (n int, from, to netip.AddrPort, ifIndex int, err error) {
	select {
	case p := <-a.in:
		return copy(b, p), netip.MustParseAddrPort("10.0.0.9:5683"), a.addr, 1, nil
	case <-a.done:
		return 0, from, to, 0, net.ErrClosed
	}
}

func (a *answerer) WriteTo(b []byte, _ netip.AddrPort, _ netip.Addr, _, _ int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	req, err := coapmsg.ParseDatagram(bytes.Clone(b))
	if err != nil || !coapmsg.IsRequest(req.Code) {
		return err
	}
	if len(a.script.b) == 0 {
		a.empty()
		return nil
	}
	for n := 1 + a.script.byte()%3; n > 0; n-- {
		resp := message.Message{Type: message.Acknowledgement, MessageID: req.MessageID, Token: req.Token}
		c := a.script.byte()
		resp.Code = []codes.Code{codes.Content, codes.Continue, codes.Changed, codes.RequestEntityIncomplete, codes.RequestEntityTooLarge, codes.Unauthorized, codes.Valid, codes.BadOption}[c&7]
		if c&8 != 0 {
			resp.Type, resp.MessageID = message.NonConfirmable, int32(a.script.byte())
		}
		resp.Options = a.script.options()
		if c&16 != 0 { // the block that is asked for
			for _, id := range []message.OptionID{message.Block1, message.Block2} {
				if v, ok := coapmsg.Get(req.Options, id); ok {
					resp.Options = setOption(resp.Options, message.Option{ID: id, Value: v})
				}
			}
		}
		resp.Payload = make([]byte, int(a.script.byte())<<(c>>5&3))
		if d, err := coapmsg.AppendDatagram(nil, resp); err == nil {
			select {
			case a.in <- d:
			default:
			}
		}
	}
	return nil
}

// FuzzAnswers plays a server that answers requests, long ones and observations
// among them, by anything. Whatever it does: no panic, no body longer than
// allowed, and the call ends.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		"\x00\x00\x02\x01\x08\x10", "\x00\x10\x02\x01\x0e\x40\x00\x10\x02\x01\x16\x40", "\x00\x11\x01\x01\x0e\x00\x00\x12\x01\x01\x1e\x00",
		"\x00\x00\x04\x01\x01\x05\x00\x08\x00\x04\x01\x02\x06", "\x00\x05\x80\x04\x01\x02\x03\x04\x00\x00\x00\x00\x05",
	} {
		f.Add([]byte(s), byte(0))
		f.Add([]byte(s), byte(1))
		f.Add([]byte(s), byte(2))
	}
	to := netip.MustParseAddrPort("10.0.0.9:5683")
	f.Fuzz(func(t *testing.T, data []byte, how byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		a := &answerer{script: &script{data}, in: make(chan []byte, 64), addr: netip.MustParseAddrPort("10.0.0.1:9"), empty: cancel, done: make(chan struct{})}
		e, err := New(Config{Network: a, Unicast: a.addr, MaxBody: 8192, Workers: 1, ACKTimeout: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		r := Request{To: to, Code: codes.GET, Path: "a"}
		check := func(resp *Response) {
			if len(resp.Payload) > 8192 {
				t.Fatalf("%d bytes", len(resp.Payload))
			}
		}
		switch how % 3 {
		case 1:
			r.Code, r.Payload = codes.PUT, make([]byte, 3000)
		case 2:
			for resp, err := range e.Observe(ctx, r) {
				if err == nil {
					check(resp)
				}
			}
			return
		}
		if resp, err := e.Do(ctx, r); err == nil {
			check(resp)
		}
	})
}
