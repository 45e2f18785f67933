//go:build !race

package endpoint

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// bare is an endpoint without network, that serves /a and /o, to protected
// requests too.
func bare(t testing.TB, contexts *Contexts, cfg Config) (*Endpoint, func(data []byte, from netip.AddrPort)) {
	t.Helper()
	m := NewMux()
	h := mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) { respond(w, codes.Content) })
	any := AcceptPlain | AcceptOSCORE | AcceptGroup | AcceptPairwise
	m.Handle("/a", any, h)
	m.Handle("/o", any, Observable(h))
	s := &void{sink{addr: netip.MustParseAddrPort("10.0.0.1:5683")}}
	cfg.Unicast, cfg.Handler, cfg.Openers = s.addr, m, []RequestOpener{contexts}
	e, err := prepare(cfg.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	e.unicast = []*socket{{Transport: s, local: s.addr}}
	t.Cleanup(func() { e.Close() })
	return e, func(data []byte, from netip.AddrPort) {
		d := datagram{data: data, from: from, to: s.addr, sock: e.unicast[0]}
		e.receive(d)
		serveAll(e)
	}
}

// pairwiseMembers makes two members of a group.
func pairwiseMembers(t testing.TB) (client, server *grouposcore.Group) {
	t.Helper()
	creds := &grouposcore.StaticCredentials{}
	p := grouposcore.Params{
		Gid: []byte{1}, MasterSecret: secret.Bytes("0123456789abcdef"), HKDF: cose.AlgHMAC256, AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
		GMCredential: []byte("gm"),
	}
	var groups []*grouposcore.Group
	for _, id := range []string{"c", "s"} {
		k, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cred, err := cose.NewCCS(id, k.Public())
		if err != nil {
			t.Fatal(err)
		}
		creds.Set([]byte(id), cred)
		ctx, err := grouposcore.NewContext(p, grouposcore.Identity{SenderID: []byte(id), Credential: cred, PrivateKey: k}, oscore.NewEphemeralSequence(), creds)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, grouposcore.NewGroup(ctx))
	}
	return groups[0], groups[1]
}

// protectedRequests makes datagrams with protected GET requests.
func protectedRequests(t testing.TB, p Protector, n int, path string, opts ...message.Option) [][]byte {
	t.Helper()
	out := make([][]byte, n)
	for i := range out {
		m := message.Message{Code: codes.GET, Options: append(message.Options{}, opts...)}
		m.Options = coapmsg.Insert(m.Options, message.Option{ID: message.URIPath, Value: []byte(path)})
		m, _, err := p.ProtectRequest(m)
		if err != nil {
			t.Fatal(err)
		}
		m.Type, m.MessageID, m.Token = message.Confirmable, int32(uint16(i)), []byte{1, 2, byte(i >> 8), byte(i)}
		if out[i], err = coapmsg.AppendDatagram(nil, m); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// A protected request costs no more than thirteen allocations, through all layers
// but for the socket's and the handler's own.
func TestServedRequestAllocations(t *testing.T) {
	p := oscore.Params{MasterSecret: secret.Bytes("0123456789abcdef"), SenderID: []byte{1}, RecipientID: []byte{2}}
	so, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		t.Fatal(err)
	}
	p.SenderID, p.RecipientID = p.RecipientID, p.SenderID
	co, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		t.Fatal(err)
	}
	gc, gs := pairwiseMembers(t)
	contexts := &Contexts{}
	contexts.AddGroup(gs, GroupOptions{})
	if err := contexts.AddOSCORE(so, nil, nil); err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddrPort("10.0.0.2:9")
	for name, sec := range map[string]Protector{"oscore": WithOSCORE(co), "pairwise": WithPairwise(gc, []byte("s"))} {
		t.Run(name, func(t *testing.T) {
			_, serve := bare(t, contexts, Config{})
			const runs = 500
			reqs := protectedRequests(t, sec, runs+1, "a")
			i := 0
			if n := testing.AllocsPerRun(runs, func() { serve(reqs[i], from); i++ }); n > 13 {
				t.Fatalf("%v allocations", n)
			}
		})
	}
}

// BenchmarkObserverMemory tells what an observer costs, with all that is kept of
// its protected registration.
func BenchmarkObserverMemory(b *testing.B) {
	gc, gs := pairwiseMembers(b)
	contexts := &Contexts{}
	contexts.AddGroup(gs, GroupOptions{})
	const observers = 4000
	for range b.N {
		e, serve := bare(b, contexts, Config{Observations: observers, ObservationsPerPeer: observers, DedupEntries: 1})
		reqs := protectedRequests(b, WithPairwise(gc, []byte("s")), observers, "o", message.Option{ID: message.Observe})
		before := heap()
		for i, r := range reqs {
			serve(r, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 9))
		}
		if n := e.Observers(); n != observers {
			b.Fatal(fmt.Sprint(n, " observers"))
		}
		b.ReportMetric(float64(heap()-before)/observers, "B/observer")
		runtime.KeepAlive(reqs)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
