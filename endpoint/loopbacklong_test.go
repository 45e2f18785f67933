package endpoint_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// credentials makes the list that the join response of a large group holds.
func credentials(t testing.TB, n int) []byte {
	t.Helper()
	fl := newFleet(t)
	list := cborx.AppendArray(nil, n)
	for i := range n {
		var c *cose.Credential
		if i == 0 {
			c = fl.credential("device-000")
		} else {
			var err error
			if c, err = cose.NewCCS(fmt.Sprintf("device-%03d", i), fl.keys["device-000"].Public()); err != nil {
				t.Fatal(err)
			}
		}
		list = cborx.AppendBytes(list, c.Bytes())
	}
	return list
}

// Long bodies over real sockets, protected: what members and a Group Manager
// say to each other in a group of 300.
func TestLoopbackLongBodies(t *testing.T) {
	list := credentials(t, 300)
	cs, ss := oscorePair(t, "cli", "srv", nil)
	ctxs := &endpoint.Contexts{}
	if err := ctxs.AddOSCORE(ss, nil, nil); err != nil {
		t.Fatal(err)
	}
	var joins atomic.Int32
	m := endpoint.NewMux()
	m.Handle("/ace-group/g", endpoint.AcceptOSCORE, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		joins.Add(1)
		body, _ := r.ReadBody()
		_ = w.SetResponse(codes.Created, 261, bytes.NewReader(append(bytes.Clone(list), body...)))
	}))
	m.Handle("/ace-group/g/creds", endpoint.AcceptOSCORE, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		_ = w.SetResponse(codes.Content, 261, bytes.NewReader(list))
	}))
	loop := netip.MustParseAddrPort("127.0.77.40:0")
	server := start(t, endpoint.Config{Unicast: loop, Handler: m, Openers: []endpoint.RequestOpener{ctxs}})
	client := start(t, endpoint.Config{Unicast: loop})
	do := func(code codes.Code, path string, body []byte) []byte {
		t.Helper()
		ctx, cancel := within(20 * time.Second)
		defer cancel()
		resp, err := client.Do(ctx, endpoint.Request{To: server.LocalAddr(), Code: code, Path: path, Payload: body, Security: endpoint.WithOSCORE(cs)})
		if err != nil {
			t.Fatal(err)
		}
		return resp.Payload
	}
	if len(list) < 15000 {
		t.Fatalf("%d bytes", len(list))
	}
	t.Run("O13 a join response with 300 credentials arrives whole, and the join happens once", func(t *testing.T) {
		request := text(900)
		if got := do(codes.POST, "ace-group/g", request); !bytes.Equal(got, append(bytes.Clone(list), request...)) || joins.Load() != 1 {
			t.Fatalf("%d bytes, %d joins", len(got), joins.Load())
		}
	})
	t.Run("O13 so does the list of credentials that is fetched, by a long filter too", func(t *testing.T) {
		for _, n := range []int{0, 20, 1024, 3000} {
			if got := do(coapmsg.FETCH, "ace-group/g/creds", text(n)); !bytes.Equal(got, list) {
				t.Fatalf("%d bytes", len(got))
			}
		}
		if got := do(codes.GET, "ace-group/g/creds", nil); !bytes.Equal(got, list) {
			t.Fatalf("%d bytes", len(got))
		}
	})
}

// Observations and long bodies over real multicast.
func TestLoopbackGroupObserve(t *testing.T) {
	group := netip.MustParseAddrPort("239.255.77.2:56831")
	probe, err := endpoint.UDP{}.ListenGroup(group, "lo")
	if err != nil {
		t.Skip("no multicast on loopback here:", err)
	}
	probe.Close()
	fl := newFleet(t)
	mine := fl.member("c", nil, nil)
	gauges, lamps := map[string]*gauge{}, map[string]*endpoint.Endpoint{}
	for i := range 3 {
		id := fmt.Sprintf("s%d", i+1)
		ctxs := &endpoint.Contexts{}
		ctxs.AddGroup(fl.member(id, nil, nil), endpoint.GroupOptions{})
		gauges[id] = &gauge{state: string(text(2000)) + id}
		h := endpoint.NewMux()
		h.Handle("/gauge", endpoint.AcceptGroup|endpoint.AcceptPairwise, endpoint.Observable(gauges[id]))
		lamps[id] = start(t, endpoint.Config{
			Unicast: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 77, byte(i + 50)}), 0),
			Groups:  []endpoint.MulticastGroup{{Addr: group, Interface: "lo"}},
			Handler: h, Openers: []endpoint.RequestOpener{ctxs}, Leisure: 30 * time.Millisecond,
		})
	}
	client := start(t, endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.77.53:0"), Leisure: 30 * time.Millisecond})
	t.Run("O13,O20,GC-3.7-1 members are observed over real multicast, their long states fetched by unicast", func(t *testing.T) {
		ctx, cancel := within(20 * time.Second)
		defer cancel()
		got := map[string]int{}
		for resp, err := range client.Observe(ctx, endpoint.Request{To: group, Code: codes.GET, Path: "gauge", Security: endpoint.WithGroup(mine), Interface: "lo"}) {
			if err != nil {
				t.Fatal(err)
			}
			id := string(resp.Peer.SenderID)
			got[id]++
			want := string(text(2000)) + id
			if got[id] > 1 {
				want = id + " changed"
			}
			if string(resp.Payload) != want || !coapmsg.Has(resp.Options, message.Observe) {
				t.Fatalf("%s: %.40q", id, resp.Payload)
			}
			if got[id] == 1 {
				gauges[id].set(id + " changed")
				lamps[id].Notify("/gauge")
			}
			if got["s1"] == 2 && got["s2"] == 2 && got["s3"] == 2 {
				break
			}
		}
		if len(got) != 3 {
			t.Fatal(got)
		}
		for id, l := range lamps {
			for i := 0; l.Observers() != 0; i++ {
				if i == 1000 {
					t.Fatalf("%s still has an observer", id)
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
	})
}
