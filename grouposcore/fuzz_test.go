package grouposcore

import (
	"bytes"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// FuzzUnprotect gives datagrams to a server and a client that wait for them. Of
// all datagrams only those with the recorded option and payload may pass.
func FuzzUnprotect(f *testing.F) {
	r := newRealm(f)
	var requests, responses [][]byte
	add := func(list *[][]byte, m message.Message) {
		b, err := coapmsg.AppendDatagram(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		*list = append(*list, b)
		f.Add(b)
	}
	client, server := r.at(f, "client", 5), r.at(f, "server", 7)
	var waiting []*Exchange
	for _, mode := range bothModes {
		m, cx := ask(f, client, observe(), mode, []byte{0x52})
		add(&requests, m)
		_, sx, _ := hear(f, server, m)
		for _, a := range bothModes {
			add(&responses, answer(f, server, notification("x"), sx, ResponseOptions{Mode: a}))
		}
		waiting = append(waiting, cx)
	}
	same := func(b []byte, known [][]byte) bool {
		m, err := coapmsg.ParseDatagram(b)
		if err != nil {
			return false
		}
		for _, k := range known {
			n, err := coapmsg.ParseDatagram(k)
			if err == nil && bytes.Equal(m.Payload, n.Payload) && bytes.Equal(rawOption(m), rawOption(n)) {
				return true
			}
		}
		return false
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := coapmsg.ParseDatagram(b)
		if err != nil {
			return
		}
		if _, _, _, err := r.at(t, "server", 0).UnprotectRequest(m); err == nil && !same(b, requests) {
			t.Fatalf("accepted the request %x", b)
		}
		for _, x := range waiting {
			// A copy without history, so that each input is judged alone.
			fresh := &Exchange{req: x.req, mode: x.mode, origin: x.origin, client: &clientSide{observe: true, intended: x.client.intended}}
			if _, _, err := client.UnprotectResponse(m, fresh); err == nil && !same(b, responses) {
				t.Fatalf("accepted the response %x", b)
			}
		}
	})
}

// FuzzExchange runs whole exchanges: what goes in comes out at the other side,
// and not after a bit was flipped.
func FuzzExchange(f *testing.F) {
	f.Add(uint8(0), "light", []byte("on"), []byte("changed"), uint16(0))
	f.Add(uint8(7), "", []byte{}, []byte{}, uint16(513))
	f.Add(uint8(30), "a/b", []byte{0xff}, bytes.Repeat([]byte{0xff}, 70), uint16(77))
	r := newRealm(f)
	f.Fuzz(func(t *testing.T, bits uint8, path string, q, a []byte, bit uint16) {
		if len(path) > 255 || len(q)+len(a) > 4096 {
			return
		}
		mode := func(n uint) Mode { return Mode(1 + bits>>n&1) }
		client, server := r.at(t, "client", 5), r.at(t, "server", 7)
		in := get(path)
		in.Code, in.Payload = codes.POST, q
		m, cx := ask(t, client, in, mode(0), []byte{0x52})
		if _, _, _, err := server.UnprotectRequest(flipBit(m, bit)); err == nil {
			t.Fatal("flipped request accepted")
		}
		got, sx, _ := hear(t, server, m)
		wantBytes(t, "request", got.Payload, q)
		v, _ := coapmsg.Get(got.Options, message.URIPath)
		wantBytes(t, "path", v, []byte(path))
		out := answer(t, server, content(string(a)), sx, ResponseOptions{
			Mode: mode(1), PIV: bits>>2&1 == 1, OmitKID: bits>>3&1 == 1, KIDContext: bits>>4&1 == 1,
		})
		if _, _, err := client.UnprotectResponse(flipBit(out, bit), cx); err == nil {
			t.Fatal("flipped response accepted")
		}
		back, _ := learn(t, client, out, cx)
		wantBytes(t, "response", back.Payload, a)
	})
}

// flipBit flips one bit of option or payload.
func flipBit(m message.Message, bit uint16) message.Message {
	opt := bytes.Clone(rawOption(m))
	m.Payload = bytes.Clone(m.Payload)
	at := int(bit) % (8 * (len(opt) + len(m.Payload)))
	if at < 8*len(opt) {
		opt[at/8] ^= 1 << (at % 8)
	} else {
		at -= 8 * len(opt)
		m.Payload[at/8] ^= 1 << (at % 8)
	}
	m.Options = coapmsg.Insert(coapmsg.Without(m.Options, coapmsg.OSCORE), message.Option{ID: coapmsg.OSCORE, Value: opt})
	return m
}

// FuzzReplacedMessage runs a long exchange in which one message is replaced by a
// stranger's: it must not be accepted, and the exchange must go on as if it had
// never come.
func FuzzReplacedMessage(f *testing.F) {
	r := newRealm(f)
	// run gives the messages of the exchange, with the one at the index replaced.
	run := func(t testing.TB, bits uint8, at int, stranger *message.Message) (made []message.Message) {
		mode := func(n uint) Mode { return Mode(1 + bits>>n&1) }
		client, server := r.at(t, "client", 5), r.at(t, "server", 7)
		m, cx := ask(t, client, observe(), mode(0), []byte{0x52})
		made = append(made, m)
		known := func(got message.Message) bool {
			for _, k := range made {
				if bytes.Equal(k.Payload, got.Payload) && bytes.Equal(rawOption(k), rawOption(got)) {
					return true
				}
			}
			return false
		}
		if stranger != nil && at == 0 {
			if _, _, _, err := server.UnprotectRequest(*stranger); err == nil && !known(*stranger) {
				t.Fatalf("accepted the request %v", stranger)
			} else if err == nil {
				return made // the stranger repeated the request itself
			}
		}
		_, sx, _ := hear(t, server, m)
		for i := range 3 {
			out := answer(t, server, notification("x"), sx, ResponseOptions{Mode: mode(uint(1 + i))})
			made = append(made, out)
			if stranger != nil && at == i+1 {
				if _, _, err := client.UnprotectResponse(*stranger, cx); err == nil && !known(*stranger) {
					t.Fatalf("accepted the response %v", stranger)
				} else if err == nil {
					return made
				}
			}
			learn(t, client, out, cx)
		}
		if client.Recipients() != 1 || server.Recipients() != 1 {
			t.Fatal("the stranger left something behind")
		}
		return made
	}
	for bits := range uint8(16) {
		for at, m := range run(f, bits, -1, nil) {
			b, err := coapmsg.AppendDatagram(nil, flip(m, -1))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(bits, uint8(at), b)
		}
	}
	f.Fuzz(func(t *testing.T, bits, at uint8, b []byte) {
		m, err := coapmsg.ParseDatagram(b)
		if err != nil {
			return
		}
		run(t, bits, int(at%4), &m)
	})
}
