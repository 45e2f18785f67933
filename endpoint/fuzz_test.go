package endpoint

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// sink is a transport that keeps what is sent.
type sink struct {
	addr netip.AddrPort
	sent [][]byte
}

func (s *sink) LocalAddr() netip.AddrPort { return s.addr }
func (s *sink) Close() error              { return nil }

func (s *sink) ReadFrom([]byte) (n int, from, to netip.AddrPort, ifIndex int, err error) {
	return 0, from, to, 0, net.ErrClosed
}

func (s *sink) WriteTo(b []byte, _ netip.AddrPort, _ netip.Addr, _, _ int) error {
	s.sent = append(s.sent, bytes.Clone(b))
	return nil
}

// serveAll serves what waits.
func serveAll(e *Endpoint) {
	for e.serveNext(e.secure) || e.serveNext(e.plain) {
	}
}

// FuzzDatagram gives any bytes to the receiving side, from the unicast and from
// a group socket, and serves what comes out of the queue. Whatever it is: no
// panic, no answer in clear or at all to a group, every answer well-formed, at
// most one, and not longer than the request by more than an error text; nothing
// is remembered of what did not verify.
func FuzzDatagram(f *testing.F) {
	p := oscore.Params{MasterSecret: secret.Bytes("0123456789abcdef"), SenderID: []byte{1}, RecipientID: []byte{2}}
	client := p
	client.SenderID, client.RecipientID = p.RecipientID, p.SenderID
	for _, h := range []string{
		"", "40", "40000001", "60000001", "70000001", "4001000100", "440100010a0b0c0db161ff00",
		"4801000112345678123456783861626364", "40010001ff", "400100010f", "50450001", "40e10001", "4001000160", "4001000154ffff",
		"4002000190ff01", "400200019209ff00", "4902000112345678901234567890",
	} {
		b, err := hex.DecodeString(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	ctx, err := oscore.NewContext(client, oscore.NewEphemeralSequence())
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{"a", "panic"} {
		m, _, err := ctx.ProtectRequest(message.Message{Code: codes.GET, Options: message.Options{{ID: message.URIPath, Value: []byte(path)}}}, oscore.RequestOptions{})
		if err != nil {
			f.Fatal(err)
		}
		m.Type, m.MessageID, m.Token = message.Confirmable, 7, []byte{1, 2}
		b, err := coapmsg.AppendDatagram(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
	}

	m := NewMux()
	m.Handle("/a", AcceptPlain|AcceptOSCORE, mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) { respond(w, codes.Content) }))
	m.Handle("/panic", AcceptOSCORE, mux.HandlerFunc(func(mux.ResponseWriter, *mux.Message) { panic("handler") }))
	f.Fuzz(func(t *testing.T, data []byte, group bool) {
		server, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
		if err != nil {
			t.Fatal(err)
		}
		contexts := &Contexts{}
		if err := contexts.AddOSCORE(server, nil, nil); err != nil {
			t.Fatal(err)
		}
		s := &sink{addr: netip.MustParseAddrPort("10.0.0.1:5683")}
		e, err := prepare(Config{Unicast: s.addr, Handler: m, Openers: []RequestOpener{contexts}, Workers: 1, Leisure: 1}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		e.unicast = []*socket{{Transport: s, local: s.addr}}
		d := datagram{data: bytes.Clone(data), from: netip.MustParseAddrPort("10.0.0.2:9"), to: s.addr, sock: e.unicast[0]}
		if group {
			d.sock = &socket{Transport: s, local: s.addr, group: true}
		}
		e.receive(d)
		serveAll(e)
		if group && len(s.sent) > 0 {
			t.Fatalf("%x to a group is answered with %x", data, s.sent[0])
		}
		if len(s.sent) > 1 {
			t.Fatalf("%x is answered %d times", data, len(s.sent))
		}
		for _, b := range s.sent {
			if _, err := coapmsg.ParseDatagram(b); err != nil {
				t.Fatalf("%x is answered with %x: %v", data, b, err)
			}
			if len(b) > len(data)+64 {
				t.Fatalf("%d bytes are answered with %d", len(data), len(b))
			}
		}
		if len(e.dedup.running) != 0 {
			t.Fatal("still in work")
		}
		e.Close()
	})
}
