package endpoint

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// FuzzClassify gives any bytes to the check of DTLS records that stands before
// the DTLS engine. What it says of a datagram is what it says of the records in
// it, one by one; what is cut off or goes on is no datagram of records.
func FuzzClassify(f *testing.F) {
	record := func(typ, epoch byte, n int) []byte {
		b := append([]byte{typ, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0, 0, byte(n)}, make([]byte, n)...)
		if n > 0 {
			b[recordHeader] = handshakeHello
		}
		return b
	}
	for _, b := range [][]byte{
		record(recordHandshake, 0, 60), record(recordHandshake, 0, 3), record(23, 1, 20), record(23, 2, 20), record(23, 0, 20),
		append(record(recordHandshake, 0, 60), record(recordCCS, 0, 1)...), append(record(recordAlert, 0, 2), record(recordHandshake, 1, 60)...), {22, 0xfe, 0xff},
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, ok := classify(b)
		if !ok {
			return
		}
		if _, ok := classify(b[:len(b)-1]); ok {
			t.Fatalf("%x is taken without its last byte", b)
		}
		if _, ok := classify(append(bytes.Clone(b), b[0])); ok {
			t.Fatalf("%x is taken with a byte more", b)
		}
		var all kind
		for rest, i := b, 0; len(rest) > 0; i++ {
			n := recordHeader + int(rest[11])<<8 + int(rest[12])
			one, ok := classify(rest[:n])
			if !ok {
				t.Fatalf("record %d of %x is refused alone", i, b)
			}
			all.protected, all.handshake = all.protected || one.protected, all.handshake || one.handshake
			if i == 0 {
				all.hello = one.hello
			}
			rest = rest[n:]
		}
		if k != all {
			t.Fatalf("%x is %+v, and its records %+v", b, k, all)
		}
	})
}

// feed is a connection that gives some bytes in pieces, and then ends.
type feed struct {
	net.Conn // nil: nothing else is called
	e        *Endpoint
	data     []byte
	piece    int
	given    int
	most     int // of the buffer it was asked to fill, as far as that could not be foreseen
}

func (c *feed) Read(b []byte) (int, error) {
	serveAll(c.e)
	if cap(b) > 2*streamBuffer && cap(b) > 4*c.given {
		c.most = cap(b)
	}
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.piece)], c.data)
	c.data, c.given = c.data[n:], c.given+n
	return n, nil
}

func (c *feed) Close() error                     { return nil }
func (c *feed) SetReadDeadline(time.Time) error  { return nil }
func (c *feed) SetWriteDeadline(time.Time) error { return nil }
func (c *feed) Write(b []byte) (int, error)      { return len(b), nil }
func (c *feed) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5683} }
func (c *feed) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 9} }

// FuzzStreamReader gives any bytes to the reading side of a TCP connection, at
// once and byte by byte. Both ways the same is answered; what is sent is well-formed,
// first a CSM; no request has more than one response; nothing follows an Abort;
// and memory is taken for what came, not for what was announced.
func FuzzStreamReader(f *testing.F) {
	frame := func(ms ...message.Message) (b []byte) {
		for _, m := range ms {
			var err error
			if b, err = coapmsg.AppendFrame(b, m); err != nil {
				f.Fatal(err)
			}
		}
		return b
	}
	csm := message.Message{Code: coapmsg.CSM, Options: message.Options{{ID: coapmsg.CSMMaxMessageSize, Value: []byte{8, 0}}, {ID: coapmsg.CSMBlockWiseTransfer}}}
	get := message.Message{Code: codes.GET, Token: []byte{1}, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}}
	put := get
	put.Code, put.Payload = codes.PUT, make([]byte, 3000)
	put.Options = coapmsg.Insert(message.Options{{ID: message.URIPath, Value: []byte("a")}}, block{num: 0, more: true, szx: bertSZX}.option(message.Block1))
	for _, b := range [][]byte{
		frame(csm, get, get), frame(csm, put), frame(get), frame(csm, message.Message{Code: coapmsg.Ping, Token: []byte{2}}, message.Message{Code: coapmsg.Release}, get),
		append(frame(csm), 0xf0, 0, 0x0e, 0, 0, 2), append(frame(csm), 0xf0, 0xff, 0xff, 0xff, 0xff, 2), frame(csm, message.Message{Code: coapmsg.Abort}, get), {0, 0xe1, 0x09, 1},
		frame(csm, message.Message{Code: codes.POST, Options: message.Options{{ID: coapmsg.OSCORE, Value: []byte{9, 1, 2}}}, Payload: make([]byte, 20)}),
	} {
		f.Add(b)
	}
	m := NewMux()
	m.Handle("/a", AcceptPlain, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(make([]byte, 3000)))
	}))
	run := func(t *testing.T, data []byte, piece int) (sent []string) {
		e, err := prepare(Config{
			Unicast: netip.MustParseAddrPort("10.0.0.1:5683"), Handler: m, Workers: 4096, PerPeer: 4096, Queue: 1 << 16,
			TCP: TCPConfig{MaxMessageSize: 8192, SendBuffer: 1 << 30},
		}.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c := &feed{e: e, data: bytes.Clone(data), piece: piece}
		s := e.newStream(c, false)
		if err := e.conns.add(s); err != nil {
			t.Fatal(err)
		}
		st := s.conn.stream
		st.send(st.csm())
		st.read()
		serveAll(e)
		if c.most > 0 {
			t.Fatalf("buffer of %d bytes for %d that came", c.most, c.given)
		}
		requests := requestsIn(data)
		for i, b := range st.queue {
			if b == nil { // the end
				continue
			}
			m, err := coapmsg.ParseFrame(b)
			switch {
			case err != nil || (i == 0) != (m.Code == coapmsg.CSM):
				t.Fatalf("message %d is %x: %v", i, b, err)
			case m.Code == coapmsg.Abort && i != len(st.queue)-1:
				t.Fatalf("%d messages after an Abort", len(st.queue)-1-i)
			case coapmsg.IsResponse(m.Code):
				requests--
			}
			what := "response"
			switch {
			case m.Code == coapmsg.Abort:
				what = "Abort"
			case coapmsg.IsSignal(m.Code):
				what = m.Code.String()
			}
			sent = append(sent, fmt.Sprintf("%s %x", what, m.Token))
		}
		if requests < 0 {
			t.Fatalf("%d responses too many", -requests)
		}
		return sent
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, bytewise := run(t, data, len(data)+1), run(t, data, 1)
		// Before an Abort what was asked is answered if there was time.
		if aborts := func(sent []string) bool {
			return slices.ContainsFunc(sent, func(m string) bool { return strings.HasPrefix(m, "Abort") })
		}; aborts(whole) || aborts(bytewise) {
			if !aborts(whole) || !aborts(bytewise) {
				t.Fatalf("%x at once is answered by\n%v\nand in single bytes by\n%v", data, whole, bytewise)
			}
			return
		}
		slices.Sort(whole)
		slices.Sort(bytewise)
		if !slices.Equal(whole, bytewise) {
			t.Fatalf("%x at once is answered by\n%v\nand in single bytes by\n%v", data, whole, bytewise)
		}
	})
}

// requestsIn counts the requests in what was sent by a connection, up to the first
// fault.
func requestsIn(b []byte) (n int) {
	for {
		size, more, err := coapmsg.FrameSize(b)
		if err != nil || more > 0 || size > uint64(len(b)) {
			return n
		}
		if code, _, err := coapmsg.FrameHead(b[:size]); err == nil && coapmsg.IsRequest(code) {
			n++
		}
		b = b[size:]
	}
}
