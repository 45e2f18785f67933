package endpoint

import (
	"net/netip"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// void is a transport that forgets.
type void struct{ sink }

func (*void) WriteTo([]byte, netip.AddrPort, netip.Addr, int, int) error { return nil }

// BenchmarkServeOSCORE is one protected request through all layers of a server,
// without the sockets: parse, look up, verify, serve, protect, remember.
func BenchmarkServeOSCORE(b *testing.B) {
	p := oscore.Params{MasterSecret: secret.Bytes("0123456789abcdef"), SenderID: []byte{1}, RecipientID: []byte{2}}
	server, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		b.Fatal(err)
	}
	p.SenderID, p.RecipientID = p.RecipientID, p.SenderID
	client, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		b.Fatal(err)
	}
	contexts := &Contexts{}
	if err := contexts.AddOSCORE(server, nil, nil); err != nil {
		b.Fatal(err)
	}
	m := NewMux()
	m.Handle("/a", AcceptOSCORE, mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) { respond(w, codes.Changed) }))
	s := &void{sink{addr: netip.MustParseAddrPort("10.0.0.1:5683")}}
	e, err := prepare(Config{Unicast: s.addr, Handler: m, Openers: []RequestOpener{contexts}}.withDefaults())
	if err != nil {
		b.Fatal(err)
	}
	e.unicast = []*socket{{Transport: s, local: s.addr}}
	defer e.Close()
	d := datagram{from: netip.MustParseAddrPort("10.0.0.2:9"), to: s.addr, sock: e.unicast[0]}
	requests := make([][]byte, b.N)
	for i := range requests {
		m, _, err := client.ProtectRequest(message.Message{
			Code: codes.POST, Options: message.Options{{ID: message.URIPath, Value: []byte("a")}}, Payload: make([]byte, 64),
		}, oscore.RequestOptions{})
		if err != nil {
			b.Fatal(err)
		}
		m.Type, m.MessageID, m.Token = message.Confirmable, int32(uint16(i)), []byte{1, 2, 3, 4}
		if requests[i], err = coapmsg.AppendDatagram(nil, m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range requests {
		d.data = r
		e.receive(d)
		serveAll(e)
	}
}
