package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

func oscoreParams(client, server string, idContext []byte) oscore.Params {
	return oscore.Params{MasterSecret: secret.Bytes("sixteen bytes ok" + client), SenderID: []byte(client), RecipientID: []byte(server), IDContext: idContext}
}

// oscorePair makes the two ends of a context.
func oscorePair(t testing.TB, client, server string, idContext []byte) (c, s *oscore.Context) {
	t.Helper()
	p := oscoreParams(client, server, idContext)
	c, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		t.Fatal(err)
	}
	p.SenderID, p.RecipientID = p.RecipientID, p.SenderID
	s, err = oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// whoami answers with the association and the Sender ID.
var whoami = mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
	p, _ := endpoint.PeerFrom(r.Context())
	_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(fmt.Appendf(nil, "%v %s %s", p.Association, p.SenderID, p.Gid)))
})

// inOffice runs f with a server that has contexts, and a client.
func inOffice(t *testing.T, f func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, ctxs := netsim.New(netsim.Config{}), &endpoint.Contexts{}
		m := endpoint.NewMux()
		m.Handle("/{rest...}", endpoint.AcceptOSCORE|endpoint.AcceptGroup|endpoint.AcceptPairwise, whoami)
		start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: m, Openers: []endpoint.RequestOpener{ctxs}})
		client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
		f(t, ctxs, func(p endpoint.Protector) (*endpoint.Response, error) {
			return client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: "who", Security: p})
		})
	})
}

func answered(t *testing.T, resp *endpoint.Response, err error, want string) {
	t.Helper()
	if err != nil || resp.Code != codes.Content || string(resp.Payload) != want {
		t.Fatalf("%+v %v, want %q", resp, err, want)
	}
}

func refused(t *testing.T, err error, code codes.Code) {
	t.Helper()
	var u *endpoint.UnprotectedError
	if !errors.As(err, &u) || u.Code != code {
		t.Fatalf("%v, want %v", err, code)
	}
}

func TestContextsOSCORE(t *testing.T) {
	t.Run("OS-8.2-5 the context is found by kid and kid context, not by address", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			var ends []*oscore.Context
			for i, id := range [][]byte{nil, []byte("one"), []byte("two")} {
				c, s := oscorePair(t, "C", "S", id)
				if err := ctxs.AddOSCORE(s, i, nil); err != nil {
					t.Fatal(err)
				}
				ends = append(ends, c)
			}
			for i, want := range []string{"0 C ", "1 C one", "2 C two"} {
				resp, err := do(endpoint.WithOSCORE(ends[i]))
				answered(t, resp, err, want)
				if resp.Peer.Mode != endpoint.OSCORE || string(resp.Peer.SenderID) != "S" {
					t.Fatalf("%+v", resp.Peer)
				}
			}
			c, _ := oscorePair(t, "D", "S", nil)
			_, err := do(endpoint.WithOSCORE(c))
			refused(t, err, codes.Unauthorized)
		})
	})
	t.Run("OS-3.3-1 a second context with the same Sender Key is refused, until the first is removed", func(t *testing.T) {
		ctxs := new(endpoint.Contexts)
		params := oscore.Params{MasterSecret: []byte("0123456789abcdef"), SenderID: []byte("S"), RecipientID: []byte("one")}
		one, err := oscore.NewContext(params, oscore.NewEphemeralSequence())
		if err != nil {
			t.Fatal(err)
		}
		params.RecipientID = []byte("two")
		two, err := oscore.NewContext(params, oscore.NewEphemeralSequence())
		if err != nil {
			t.Fatal(err)
		}
		if err := ctxs.AddOSCORE(one, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := ctxs.AddOSCORE(two, nil, nil); !errors.Is(err, endpoint.ErrDuplicateContext) {
			t.Fatal(err)
		}
		ctxs.RemoveOSCORE(two) // which was never there
		if err := ctxs.AddOSCORE(two, nil, nil); !errors.Is(err, endpoint.ErrDuplicateContext) {
			t.Fatal(err)
		}
		ctxs.RemoveOSCORE(one)
		if err := ctxs.AddOSCORE(two, nil, nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("look-up is unique: a second context with the same ids is refused, a removed one is not found", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			c, s := oscorePair(t, "C", "S", nil)
			if err := ctxs.AddOSCORE(s, "a", nil); err != nil {
				t.Fatal(err)
			}
			if err := ctxs.AddOSCORE(s, "b", nil); !errors.Is(err, endpoint.ErrDuplicateContext) {
				t.Fatal(err)
			}
			resp, err := do(endpoint.WithOSCORE(c))
			answered(t, resp, err, "a C ")
			ctxs.RemoveOSCORE(s)
			_, err = do(endpoint.WithOSCORE(c))
			refused(t, err, codes.Unauthorized)
		})
	})
	t.Run("onFirst runs before the first handler, until it succeeds, and once", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			c, s := oscorePair(t, "C", "S", nil)
			calls := 0
			if err := ctxs.AddOSCORE(s, "a", func() error {
				if calls++; calls == 1 {
					return errors.New("store is busy")
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for i := range 3 {
				resp, err := do(endpoint.WithOSCORE(c)) // the first is served when it is retransmitted
				answered(t, resp, err, "a C ")
				if waited := time.Since(began); i == 0 && (waited < 2*time.Second || waited > 3*time.Second) {
					t.Fatalf("served after %v", waited)
				}
			}
			if calls != 2 {
				t.Fatalf("%d calls", calls)
			}
		})
	})
	t.Run("OS-B.1.2-2 after a lost window Echo makes it valid, and onFirst waits for that", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			c, s := oscorePair(t, "C", "S", nil)
			s.Invalidate()
			calls := 0
			if err := ctxs.AddOSCORE(s, "a", func() error { calls++; return nil }); err != nil {
				t.Fatal(err)
			}
			resp, err := do(endpoint.WithOSCORE(c))
			answered(t, resp, err, "a C ")
			if !s.WindowValid() || calls != 1 {
				t.Fatal("window", s.WindowValid(), calls)
			}
		})
	})
	t.Run("OS-7.4-2 a replay is 4.01 Replay detected", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, ctxs := netsim.New(netsim.Config{}), &endpoint.Contexts{}
			c, s := oscorePair(t, "C", "S", nil)
			if err := ctxs.AddOSCORE(s, nil, nil); err != nil {
				t.Fatal(err)
			}
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: whoami, Openers: []endpoint.RequestOpener{ctxs}})
			m, _, err := c.ProtectRequest(message.Message{Code: codes.GET}, oscore.RequestOptions{})
			if err != nil {
				t.Fatal(err)
			}
			peer := listenRaw(t, n, clientAddr)
			for mid := range int32(2) {
				m.Type, m.MessageID = con, mid
				peer.send(serverAddr, encode(t, m))
				r := peer.nextMessage(time.Second)
				if mid == 1 && (r.Code != codes.Unauthorized || string(r.Payload) != "Replay detected") {
					t.Fatalf("%+v", r)
				}
			}
		})
	})
}

func TestContextsGroups(t *testing.T) {
	t.Run("GO-6-1,GO-6-5,GO-6-6 groups and OSCORE contexts with equal kids live side by side", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			fl := newFleet(t)
			c, s := oscorePair(t, "c", "s", nil)
			if err := ctxs.AddOSCORE(s, "pair", nil); err != nil {
				t.Fatal(err)
			}
			g, mine := fl.member("s", nil, nil), fl.member("c", nil, nil)
			ctxs.AddGroup(g, endpoint.GroupOptions{Association: "old"})
			ctxs.AddGroup(g, endpoint.GroupOptions{Association: "group"})
			for want, p := range map[string]endpoint.Protector{
				"pair c ": endpoint.WithOSCORE(c), "group c \xdd\x11": endpoint.WithGroup(mine),
			} {
				resp, err := do(p)
				answered(t, resp, err, want)
			}
			resp, err := do(endpoint.WithPairwise(mine, []byte("s")))
			answered(t, resp, err, "group c \xdd\x11")
			ctxs.RemoveGroup(g)
			_, err = do(endpoint.WithGroup(mine))
			refused(t, err, codes.Unauthorized)
		})
	})
	t.Run("GO-6-4 a group message without its group is not tried under an OSCORE context", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			fl := newFleet(t)
			c, s := oscorePair(t, "c", "s", fl.params.Gid)
			if err := ctxs.AddOSCORE(s, "pair", nil); err != nil {
				t.Fatal(err)
			}
			_, err := do(endpoint.WithGroup(fl.member("c", nil, nil)))
			refused(t, err, codes.Unauthorized) // 4.00 would be a failed decryption
			ctxs.AddGroup(fl.member("s", nil, nil), endpoint.GroupOptions{})
			resp, err := do(endpoint.WithOSCORE(c)) // the flag says it is no group message
			answered(t, resp, err, "pair c \xdd\x11")
		})
	})
	t.Run("of two groups with one Gid the one that verifies is taken", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			one, two := newFleet(t), newFleet(t)
			two.params.MasterSecret = secret.Bytes("another secret of 16 bytes")
			ctxs.AddGroup(one.member("s", nil, nil), endpoint.GroupOptions{Association: 1})
			ctxs.AddGroup(two.member("s", nil, nil), endpoint.GroupOptions{Association: 2})
			one.credential("c")
			one.creds.Set([]byte("c"), one.credential("c"))
			for i, fl := range []*fleet{one, two} {
				resp, err := do(endpoint.WithGroup(fl.member("c", nil, nil)))
				answered(t, resp, err, fmt.Sprintf("%d c \xdd\x11", i+1))
			}
		})
	})
	t.Run("a response after a rekey is taken under the new Gid", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, fl, ctxs := netsim.New(netsim.Config{Delay: time.Second}), newFleet(t), &endpoint.Contexts{}
			server, client := fl.member("s", nil, nil), fl.member("c", nil, nil)
			next := func(id string) *grouposcore.Context {
				return fl.member(id, nil, func(p *grouposcore.Params) {
					p.Gid, p.MasterSecret = []byte{0xdd, 0x12}, secret.Bytes("the next secret of the group")
				}).Current()
			}
			ctxs.AddGroup(server, endpoint.GroupOptions{})
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Openers: []endpoint.RequestOpener{ctxs},
				Handler: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
					server.Install(next("s"), 0, time.Now())
					client.Install(next("c"), time.Minute, time.Now())
					whoami(w, r)
				})})
			e := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			resp, err := e.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Security: endpoint.WithPairwise(client, []byte("s"))})
			if err != nil || !bytes.Equal(resp.Peer.Gid, []byte{0xdd, 0x12}) {
				t.Fatalf("%+v %v", resp, err)
			}
		})
	})
}

func TestRederivation(t *testing.T) {
	p := oscoreParams("C", "S", nil)
	server := func(t *testing.T) *oscore.B2Server {
		q := p
		q.SenderID, q.RecipientID = p.RecipientID, p.SenderID
		b, err := oscore.NewB2Server(q, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	client := func(t *testing.T) *oscore.B2Client {
		b, err := oscore.NewB2Client(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("the first request of each start establishes a new context, in place of the former", func(t *testing.T) {
		inOffice(t, func(t *testing.T, ctxs *endpoint.Contexts, do func(endpoint.Protector) (*endpoint.Response, error)) {
			var former []*oscore.Context
			ctxs.AddB2([]byte("C"), server(t), endpoint.B2Options{Association: "device", Established: func(_, f *oscore.Context) error {
				former = append(former, f)
				return nil
			}})
			var old endpoint.Protector
			for range 3 {
				var got *oscore.Context
				sec := endpoint.WithB2(client(t), func(c *oscore.Context) { got = c })
				for range 2 {
					resp, err := do(sec)
					if err != nil || !bytes.HasPrefix(resp.Payload, []byte("device C ")) {
						t.Fatalf("%+v %v", resp, err)
					}
				}
				if got == nil {
					t.Fatal("established was not called")
				}
				if old != nil {
					if _, err := do(old); err == nil {
						t.Fatal("the former context is still served")
					}
				}
				old = endpoint.WithOSCORE(got)
				resp, err := do(old)
				if err != nil || resp.Code != codes.Content {
					t.Fatalf("%+v %v", resp, err)
				}
			}
			if len(former) != 3 || former[0] != nil || former[1] == nil || former[2] == former[1] {
				t.Fatal(former)
			}
			ctxs.RemoveB2([]byte("C"))
			_, err := do(old)
			refused(t, err, codes.Unauthorized)
		})
	})
	t.Run("the owner may refuse an established context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, ctxs, meter := netsim.New(netsim.Config{}), &endpoint.Contexts{}, &endpoint.Counters{}
			ctxs.AddB2([]byte("C"), server(t), endpoint.B2Options{Established: func(_, _ *oscore.Context) error { return errors.New("revoked") }})
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: whoami, Openers: []endpoint.RequestOpener{ctxs}, Meter: meter})
			e := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			ctx, cancel := within(time.Second)
			defer cancel()
			if _, err := e.Do(ctx, endpoint.Request{To: serverAddr, Code: codes.GET, Security: endpoint.WithB2(client(t), nil)}); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			if meter.Get(endpoint.DropUnverified) == 0 {
				t.Fatal("not counted")
			}
		})
	})
}

func TestNewRecipientID(t *testing.T) {
	ctxs := &endpoint.Contexts{}
	seen := map[string]bool{}
	for i := range 60000 {
		id, err := ctxs.NewRecipientID()
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(id)] {
			t.Fatalf("%x twice", id)
		}
		seen[string(id)] = true
		if want := map[bool]int{true: 1, false: 2}[i < 192]; i < 49000 && len(id) != want {
			t.Fatalf("%d-th id has %d bytes", i, len(id))
		}
	}
	for id := range seen {
		ctxs.ReleaseRecipientID([]byte(id))
	}
	id, err := ctxs.NewRecipientID()
	if err != nil || len(id) != 1 {
		t.Fatalf("%x %v", id, err)
	}
	_, s := oscorePair(t, string(id), "S!", nil)
	if err := ctxs.AddOSCORE(s, nil, nil); err != nil {
		t.Fatal(err)
	}
	for range 191 {
		if id, err := ctxs.NewRecipientID(); err != nil || len(id) != 1 || bytes.Equal(id, s.RecipientID()) {
			t.Fatalf("%x %v", id, err)
		}
	}
	if id, _ := ctxs.NewRecipientID(); len(id) != 2 {
		t.Fatalf("%x", id)
	}
	ctxs.RemoveOSCORE(s)
	if id, _ := ctxs.NewRecipientID(); len(id) != 1 {
		t.Fatalf("%x", id)
	}
}
