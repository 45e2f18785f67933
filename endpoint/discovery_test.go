package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// discoverable is a Mux with resources of all kinds, described.
func discoverable(name string, more int) *endpoint.Mux {
	m := endpoint.NewMux()
	h := mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte(name)))
	})
	rt := func(v string) endpoint.Attr { return endpoint.Attr{Name: "rt", Value: v} }
	m.Handle("/open", endpoint.AcceptPlain|endpoint.AcceptOSCORE, h)
	m.Handle("/private", endpoint.AcceptOSCORE, h)
	m.Handle("/light", endpoint.AcceptGroup|endpoint.AcceptPairwise, h)
	m.Describe("/open", rt("temperature core.s"), endpoint.Attr{Name: "ct", Value: "0"})
	m.Describe("/private", rt("secret"))
	m.Describe("/light", rt("light "+name), endpoint.Attr{Name: "obs", NoValue: true})
	for i := range more {
		p := fmt.Sprintf("/many/%03d", i)
		m.Handle(p, endpoint.AcceptPlain, h)
		m.Describe(p, rt("many"))
	}
	m.Handle("/.well-known/core", endpoint.AcceptPlain|endpoint.AcceptOSCORE, m.Discovery())
	return m
}

func TestDiscovery(t *testing.T) {
	in := func(t *testing.T, more int, f func(get func(query ...string) []endpoint.Link)) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: discoverable("s", more)})
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
			f(func(query ...string) []endpoint.Link {
				t.Helper()
				resp, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: ".well-known/core", Query: query})
				if err != nil || resp.Code != codes.Content {
					t.Fatalf("%+v %v", resp, err)
				}
				links, err := endpoint.ParseLinks(string(resp.Payload))
				if err != nil {
					t.Fatal(err)
				}
				return links
			})
		})
	}
	targets := func(links []endpoint.Link) string {
		var s []string
		for _, l := range links {
			s = append(s, l.Target)
		}
		return strings.Join(s, " ")
	}
	t.Run("OS-9-1,GO-11-1,GO-11-3 what needs OSCORE is marked osc, what is in a group gosc too", func(t *testing.T) {
		in(t, 0, func(get func(...string) []endpoint.Link) {
			for i, want := range []struct{ osc, gosc bool }{{false, false}, {true, false}, {true, true}} {
				l := get()[i]
				_, osc := l.Get("osc")
				if osc != want.osc || l.OSCORE() != want.osc || l.Group() != want.gosc {
					t.Fatalf("%v", l)
				}
			}
		})
	})
	t.Run("queries filter", func(t *testing.T) {
		in(t, 0, func(get func(...string) []endpoint.Link) {
			for query, want := range map[string]string{
				"rt=light": "/light", "rt=core.s": "/open", "rt=temp*": "/open", "href=/p*": "/private", "obs": "/light", "ct=0": "/open", "osc": "/private /light",
				"rt=nothing": "", "x=1": "",
			} {
				if got := targets(get(query)); got != want {
					t.Errorf("%s: %q, want %q", query, got, want)
				}
			}
			if got := targets(get("osc", "rt=light")); got != "/light" {
				t.Errorf("both: %q", got)
			}
		})
	})
	t.Run("GC-3.6-4 a long list comes block by block", func(t *testing.T) {
		in(t, 200, func(get func(...string) []endpoint.Link) {
			if n := len(get()); n != 203 {
				t.Fatal(n)
			}
		})
	})
	t.Run("GC-3.4-3,GC-3.6-4,GC-6.1-1 servers are discovered on All CoAP Nodes, who has nothing to tell is silent, and long lists are fetched by unicast", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{Delay: time.Millisecond})
			for i := range 3 {
				start(t, endpoint.Config{
					Network: n, Unicast: lampAddr(i), Groups: endpoint.AllCoAPNodes("", false), Handler: discoverable(fmt.Sprint("s", i), 100*i), InsecurePlainMulticast: true,
				})
			}
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, InsecurePlainMulticast: true})
			all := func(query ...string) map[netip.AddrPort]int {
				got := map[netip.AddrPort]int{}
				r := endpoint.Request{To: groupAddr, Code: codes.GET, Path: ".well-known/core", Query: query}
				for resp, err := range client.DoMulticast(context.Background(), r) {
					if err != nil {
						t.Fatal(err)
					}
					links, err := endpoint.ParseLinks(string(resp.Payload))
					if err != nil {
						t.Fatal(err)
					}
					got[resp.Peer.Addr] = len(links)
				}
				return got
			}
			if got := all(); !reflect.DeepEqual(got, map[netip.AddrPort]int{lampAddr(0): 3, lampAddr(1): 103, lampAddr(2): 203}) {
				t.Fatal(got)
			}
			if got := all("rt=s1"); !reflect.DeepEqual(got, map[netip.AddrPort]int{lampAddr(1): 1}) {
				t.Fatal(got)
			}
		})
	})
	t.Run("GC-3.9.1-1,GC-2.1.1-1 All CoAP Nodes are the registered addresses in all scopes, on port 5683", func(t *testing.T) {
		var got []string
		for _, g := range append(endpoint.AllCoAPNodes("eth0", false), endpoint.AllCoAPNodes("eth0", true)...) {
			if g.Interface != "eth0" {
				t.Fatal(g)
			}
			got = append(got, g.Addr.String())
		}
		if want := "224.0.1.187:5683 [ff02::fd]:5683 [ff04::fd]:5683 [ff05::fd]:5683"; strings.Join(got, " ") != want {
			t.Fatal(got)
		}
	})
	t.Run("mistakes panic", func(t *testing.T) {
		m := endpoint.NewMux()
		m.Handle("/a/{b}", endpoint.AcceptPlain, m.Discovery())
		for _, p := range []string{"/nothing", "/a/{b}", "/a/x", "a"} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", p)
					}
				}()
				m.Describe(p)
			}()
		}
	})
}

func TestParseLinks(t *testing.T) {
	t.Run("links and their attributes", func(t *testing.T) {
		links, err := endpoint.ParseLinks(` </a>;rt="a b";ct=40;obs , <coap://h/x?y=1>; title="a \"quoted\", text" ,</c>` + "\n")
		if err != nil || len(links) != 3 {
			t.Fatal(links, err)
		}
		want := []endpoint.Link{
			{Target: "/a", Attrs: []endpoint.Attr{{Name: "rt", Value: "a b"}, {Name: "ct", Value: "40"}, {Name: "obs", NoValue: true}}},
			{Target: "coap://h/x?y=1", Attrs: []endpoint.Attr{{Name: "title", Value: `a "quoted", text`}}},
			{Target: "/c"},
		}
		if !reflect.DeepEqual(links, want) {
			t.Fatalf("%+v", links)
		}
		if s := links[1].String(); s != `<coap://h/x?y=1>;title="a \"quoted\", text"` {
			t.Fatal(s)
		}
	})
	t.Run("OS-9-2,GO-11-2 values and repetitions of osc and gosc mean nothing", func(t *testing.T) {
		links, err := endpoint.ParseLinks(`</a>;osc=no,</b>;osc;osc="x",</c>;gosc=0;gosc;osc,</d>;gosc,</e>`)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range links {
			got = append(got, fmt.Sprint(l.OSCORE(), l.Group()))
		}
		if s := strings.Join(got, " "); s != "true false true false true true true true false false" {
			t.Fatal(s)
		}
	})
	t.Run("anything else is refused", func(t *testing.T) {
		for _, s := range []string{"x", "<a", "</a>x", "</a>,", "</a>,,</b>", "</a>;", "</a>;=1", `</a>;x=`, `</a>;x="1`, "</a </b>", `</a>;x="1"y`,
			strings.Repeat("</a>,", 5000) + "</a>", "</a>" + strings.Repeat(";x", 40)} {
			if _, err := endpoint.ParseLinks(s); !errors.Is(err, endpoint.ErrLinks) {
				t.Errorf("%.30q: %v", s, err)
			}
		}
	})
}

func FuzzParseLinks(f *testing.F) {
	f.Add(`</a>;rt="a b";ct=40;obs , <coap://h/x?y=1>; title="a \"quoted\", text" ,</c>`)
	f.Add(`</sensors/temp>;gosc;osc,</sensors/light>;if="sensor"`)
	f.Fuzz(func(t *testing.T, s string) {
		links, err := endpoint.ParseLinks(s)
		if err != nil {
			return
		}
		var out []string
		for _, l := range links {
			out = append(out, l.String())
		}
		again, err := endpoint.ParseLinks(strings.Join(out, ","))
		if err != nil || !reflect.DeepEqual(links, again) {
			t.Fatalf("%q: %+v, then %+v %v", s, links, again, err)
		}
	})
}

func TestErrorsToGroups(t *testing.T) {
	forbidden := mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) { _ = w.SetResponse(codes.Forbidden, 0, nil) })
	in := func(t *testing.T, f func(s *scene, ask func(path string, sec endpoint.Protector, noResponse ...byte) int)) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{InsecurePlainMulticast: true}, endpoint.GroupOptions{}, nil)
			for _, h := range s.handlers {
				any := endpoint.AcceptGroup | endpoint.AcceptPlain
				h.Handle("/usual", any, forbidden)
				h.Handle("/frank", any, endpoint.ErrorsToGroups(forbidden))
			}
			f(s, func(path string, sec endpoint.Protector, noResponse ...byte) int {
				r := s.request(path)
				r.Security = sec
				if noResponse != nil {
					v := noResponse
					if v[0] == 0 {
						v = []byte{}
					}
					r.Options = message.Options{{ID: coapmsg.NoResponse, Value: v}}
				}
				n := 0
				for resp, err := range s.client.DoMulticast(context.Background(), r) {
					if err != nil || resp.Code != codes.Forbidden {
						t.Fatalf("%+v %v", resp, err)
					}
					n++
				}
				return n
			})
		})
	}
	t.Run("GC-3.1.2-2,GC-3.1.2-1 No-Response lifts the suppression of errors only where that was agreed", func(t *testing.T) {
		in(t, func(s *scene, ask func(string, endpoint.Protector, ...byte) int) {
			sec := endpoint.WithGroup(s.group)
			for _, c := range []struct {
				path string
				nr   []byte
				want int
			}{
				{"usual", nil, 0}, {"usual", []byte{0}, 0}, {"usual", []byte{2}, 0},
				{"frank", nil, 0}, {"frank", []byte{0}, 3}, {"frank", []byte{2}, 3}, {"frank", []byte{8}, 0},
			} {
				if n := ask(c.path, sec, c.nr...); n != c.want {
					t.Errorf("%s, No-Response %v: %d answers", c.path, c.nr, n)
				}
			}
		})
	})
	t.Run("GC-6.5-1 and only for who is authenticated", func(t *testing.T) {
		in(t, func(s *scene, ask func(string, endpoint.Protector, ...byte) int) {
			if n := ask("frank", nil, 0); n != 0 {
				t.Errorf("%d answers", n)
			}
		})
	})
}

func TestGroupResources(t *testing.T) {
	t.Run("GC-2.2.1.2-1,GC-2.1.4-1,GC-5.1-1 an application group is named in the path, has rules of its own, and only members of the security group reach it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, endpoint.Config{InsecurePlainMulticast: true}, endpoint.GroupOptions{}, nil)
			for i, h := range s.handlers {
				h.Handle("/gp/{app}/light", endpoint.AcceptGroup, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
					p, _ := endpoint.PeerFrom(r.Context())
					app := r.RouteParams.Vars["app"]
					switch {
					case app != []string{"floor1", "floor1", "floor2"}[i]:
						_ = w.SetResponse(codes.NotFound, 0, nil)
					case app == "floor2" && p.Credential.Subject() != "boss":
						_ = w.SetResponse(codes.Forbidden, 0, nil)
					default:
						_ = w.SetResponse(codes.Changed, 0, nil)
					}
				}))
			}
			for app, want := range map[string]int{"floor1": 2, "floor2": 0, "floor3": 0} {
				if got := collect(t, s.client, context.Background(), s.request("gp/"+app+"/light")); len(got) != want {
					t.Errorf("%s: %d answers", app, len(got))
				}
			}
			r := s.request("gp/floor1/light")
			r.Security = nil
			for resp := range s.client.DoMulticast(context.Background(), r) {
				t.Fatalf("%+v", resp)
			}
		})
	})
	t.Run("GC-3.2.2.1-4 two servers give the same representation different ETags of their own making", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, open, endpoint.GroupOptions{}, nil)
			for _, g := range s.gauges {
				g.set(string(text(3000)))
			}
			tags := map[string]bool{}
			for _, r := range collect(t, s.client, context.Background(), s.gauge(codes.GET)) {
				tag, ok := coapmsg.Get(r.Options, message.ETag)
				if !ok {
					t.Fatalf("%+v", r)
				}
				tags[string(tag)] = true
			}
			if len(tags) != 3 {
				t.Fatal(len(tags))
			}
		})
	})
}
