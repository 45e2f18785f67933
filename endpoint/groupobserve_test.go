package endpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/oscore"
)

func inObservedScene(t *testing.T, cfg endpoint.Config, f func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newScene(t, cfg, endpoint.GroupOptions{}, nil)) })
}

func (s *scene) gauge(code codes.Code) endpoint.Request {
	return endpoint.Request{To: groupAddr, Code: code, Path: "gauge", Security: endpoint.WithGroup(s.group)}
}

// change sets the gauge of one lamp.
func (s *scene) change(i int, state string) {
	s.gauges[i].set(state)
	s.lamps[i].Notify("/gauge")
}

// states takes what an observation of the group yields for d.
func (w *watcher) states(d time.Duration) map[string]string {
	w.t.Helper()
	pass(d)
	got := map[string]string{}
	for len(w.ch) > 0 {
		s := <-w.ch
		if s.err != nil {
			w.t.Fatal(s.err)
		}
		got[string(s.resp.Peer.SenderID)] = string(s.resp.Payload)
	}
	return got
}

// wantStates checks the states of s1, s2, …; an empty string stands for any.
func wantStates(t *testing.T, got map[string]string, want ...string) {
	t.Helper()
	for i, s := range want {
		if id := fmt.Sprintf("s%d", i+1); s != "" && got[id] != s {
			t.Fatalf("%s: %q, want %q", id, got[id], s)
		}
	}
}

func (s *scene) observers() int {
	n := 0
	for _, l := range s.lamps {
		n += l.Observers()
	}
	return n
}

func TestGroupObserve(t *testing.T) {
	for _, m := range []codes.Code{codes.GET, coapmsg.FETCH} {
		t.Run(fmt.Sprintf("GC-3.7-1,GC-3.7-5,GC-3.7-8 all members are observed with one request, and canceled with one: method %d", m), func(t *testing.T) {
			inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
				tokens, requests := map[string]bool{}, 0 // the filter sees each copy
				s.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
					if m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data)); err == nil && p.To == groupAddr {
						requests++
						tokens[string(m.Token)] = true
					}
					return netsim.Verdict{}
				})
				w := watch(t, s.client, s.gauge(m))
				wantStates(t, w.states(10*time.Second), "s1 0", "s2 0", "s3 0")
				s.change(1, "s2 1")
				got := w.states(10 * time.Second)
				if len(got) != 1 || got["s2"] != "s2 1" {
					t.Fatal(got)
				}
				for i := range s.lamps {
					s.change(i, fmt.Sprintf("s%d 2", i+1))
				}
				wantStates(t, w.states(10*time.Second), "s1 2", "s2 2", "s3 2")
				if s.observers() != 3 {
					t.Fatal(s.observers())
				}
				w.stop()
				pass(10 * time.Second)
				if s.observers() != 0 || len(tokens) != 1 || requests != 2*3 {
					t.Fatalf("%d observers, %d tokens, %d requests", s.observers(), len(tokens), requests)
				}
				if endpoint.Exchanges(s.client) != 0 {
					t.Fatal("the token is not freed")
				}
			})
		})
	}
	t.Run("GC-3.7-2,GC-3.7-3,GC-3.7-4 each is registered at again by a CON with the same token and another Message ID, when its Max-Age is over", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			for i, g := range s.gauges {
				g.opts = []message.Option{{ID: message.MaxAge, Value: []byte{byte(20 + 10*i)}}}
			}
			var group message.Message
			again := map[string]int{}
			s.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				m, err := coapmsg.ParseDatagram(bytes.Clone(p.Data))
				if err != nil || p.From != clientAddr || !coapmsg.IsRequest(m.Code) {
					return netsim.Verdict{}
				}
				if p.To == groupAddr {
					group = m
					return netsim.Verdict{}
				}
				if m.Type != con || !bytes.Equal(m.Token, group.Token) || m.MessageID == group.MessageID {
					t.Errorf("%+v after %+v", m, group)
				}
				again[p.To.String()]++
				return netsim.Verdict{}
			})
			w := watch(t, s.client, s.gauge(codes.GET))
			wantStates(t, w.states(10*time.Second), "s1 0", "s2 0", "s3 0")
			w.states(110 * time.Second)
			if n := again[lampAddr(0).String()]; n < 3 || n > 5 || len(again) != 3 || s.observers() != 3 {
				t.Fatalf("%v, %d observers", again, s.observers())
			}
			s.change(0, "s1 9")
			s.change(2, "s3 9")
			wantStates(t, w.states(20*time.Second), "s1 9", "", "s3 9")
		})
	})
	t.Run("the first notification of a member may be lost, the next one is taken long after", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			s.net.SetFilter(func(p netsim.Packet) netsim.Verdict { return netsim.Verdict{Drop: p.From == lampAddr(1)} })
			w := watch(t, s.client, s.gauge(codes.GET))
			w.states(10 * time.Minute)
			s.net.SetFilter(nil)
			s.change(1, "s2 late")
			if got := w.states(30 * time.Second); got["s2"] != "s2 late" {
				t.Fatal(got)
			}
		})
	})
	t.Run("GC-3.7-6 leisure applies to each notification", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{Leisure: 8 * time.Second}, func(t *testing.T, s *scene) {
			s.gauges[0].opts = []message.Option{{ID: message.MaxAge, Value: []byte{0xff, 0xff}}}
			for _, g := range s.gauges[1:] {
				g.code = codes.NotFound
			}
			w := watch(t, s.client, s.gauge(codes.GET))
			w.states(10 * time.Second)
			var delays []time.Duration
			for i := range 20 {
				began := time.Now()
				s.change(0, fmt.Sprint(i))
				w.next(9 * time.Second)
				delays = append(delays, time.Since(began))
				pass(9*time.Second - time.Since(began))
			}
			early, late := 0, 0
			for _, d := range delays {
				if d < 4*time.Second {
					early++
				} else {
					late++
				}
			}
			if early < 4 || late < 4 {
				t.Fatal(delays)
			}
		})
	})
	t.Run("GC-3.7-9 what comes up in a leisure period waits for its end", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{Leisure: 10 * time.Second}, func(t *testing.T, s *scene) {
			one, two := s.gauge(codes.GET), s.gauge(coapmsg.FETCH)
			two.Payload = []byte("!")
			w1 := watch(t, s.client, one)
			w1.states(15 * time.Second)
			w2 := watch(t, s.client, two)
			w2.states(15 * time.Second)
			began := time.Now()
			var turn atomic.Int64
			s.lamps[0].NotifyFunc("/gauge", func(endpoint.Peer) (endpoint.Notification, bool) {
				turn.Add(1)
				return endpoint.Notification{Code: codes.Content, Payload: []byte("a")}, true
			})
			// Two observations of one group: one has this period, one the next.
			pass(10*time.Second + 10*time.Millisecond)
			if turn.Load() != 1 {
				t.Fatalf("%d notifications in the first period", turn.Load())
			}
			pass(10 * time.Second)
			if turn.Load() != 2 || time.Since(began) > 21*time.Second {
				t.Fatalf("%d notifications after the second", turn.Load())
			}
		})
	})
	t.Run("a member that ends its observation does not end that of the others", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			w := watch(t, s.client, s.gauge(codes.GET))
			w.states(10 * time.Second)
			s.gauges[0].mu.Lock()
			s.gauges[0].code = codes.NotFound
			s.gauges[0].mu.Unlock()
			s.lamps[0].Notify("/gauge")
			if sn := w.next(10 * time.Second); sn.err != nil || sn.resp.Code != codes.NotFound {
				t.Fatalf("%+v", sn)
			}
			s.change(1, "s2 1")
			if got := w.states(10 * time.Second); got["s2"] != "s2 1" || s.observers() != 2 {
				t.Fatal(got, s.observers())
			}
		})
	})
	t.Run("long representations are fetched from each by unicast", func(t *testing.T) {
		inObservedScene(t, open, func(t *testing.T, s *scene) {
			for i, g := range s.gauges {
				g.set(string(text(2000 + i)))
			}
			w := watch(t, s.client, s.gauge(codes.GET))
			wantStates(t, w.states(15*time.Second), string(text(2000)), string(text(2001)), string(text(2002)))
			s.change(2, string(text(3000)))
			if got := w.states(15 * time.Second); got["s3"] != string(text(3000)) {
				t.Fatalf("%d bytes", len(got["s3"]))
			}
		})
	})
	t.Run("an observation outlives a rekey of the group", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			w := watch(t, s.client, s.gauge(codes.GET))
			w.states(10 * time.Second)
			s.change(0, "s1 before")
			w.states(10 * time.Second)
			s.rekey(t, []byte{0xdd, 0x12})
			s.change(0, "s1 after")
			s.change(1, "s2 after")
			wantStates(t, w.states(10*time.Second), "s1 after", "s2 after")
			pass(2 * time.Minute) // renewed meanwhile
			w.states(time.Second)
			s.change(2, "s3 after")
			if got := w.states(10 * time.Second); got["s3"] != "s3 after" || s.observers() != 3 {
				t.Fatal(got, s.observers())
			}
		})
	})
	t.Run("what was protected before a rekey is older than what came since", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			w := watch(t, s.client, s.gauge(codes.GET))
			w.states(10 * time.Second)
			late := true
			s.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				if late && p.From == lampAddr(0) {
					return netsim.Verdict{Delay: 20 * time.Second}
				}
				return netsim.Verdict{}
			})
			s.change(0, "s1 before")
			pass(7 * time.Second)
			late = false
			s.rekey(t, []byte{0xdd, 0x12})
			s.change(0, "s1 after")
			wantStates(t, w.states(10*time.Second), "s1 after")
			if got := w.states(40 * time.Second); got["s1"] == "s1 before" {
				t.Fatal(got)
			}
			if s.mine.Get(endpoint.DropStale) == 0 {
				t.Fatal("nothing came late")
			}
		})
	})
	t.Run("GO-5.1-2 who leaves the group observes no more", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			w := watch(t, s.client, s.gauge(codes.GET))
			w.states(10 * time.Second)
			s.group.Leave()
			s.change(1, "s2 1")
			if sn := w.next(10 * time.Second); !errors.Is(sn.err, grouposcore.ErrNotMember) {
				t.Fatalf("%+v", sn)
			}
			<-w.done
			if endpoint.Exchanges(s.client) != 0 {
				t.Fatal("the token is not freed")
			}
		})
	})
	t.Run("a challenge is answered by unicast, and the observation goes on with its token", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{ChallengeGroups: true}, func(t *testing.T, s *scene) {
			w := watch(t, s.client, s.gauge(codes.GET))
			wantStates(t, w.states(15*time.Second), "s1 0", "s2 0", "s3 0")
			s.change(1, "s2 1")
			if got := w.states(15 * time.Second); got["s2"] != "s2 1" || s.observers() != 3 {
				t.Fatal(got, s.observers())
			}
		})
	})
	t.Run("members of an unprotected group are told apart by address", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{InsecurePlainMulticast: true}, func(t *testing.T, s *scene) {
			r := s.gauge(codes.GET)
			r.Security = nil
			w := watch(t, s.client, r)
			pass(10 * time.Second)
			got := map[string]bool{}
			for len(w.ch) > 0 {
				sn := w.next(time.Second)
				got[sn.resp.Peer.Addr.String()+" "+string(sn.resp.Payload)] = true
			}
			for i := range 3 {
				if !got[fmt.Sprintf("%s s%d 0", lampAddr(i), i+1)] {
					t.Fatal(got)
				}
			}
			s.change(1, "s2 1")
			w.want("s2 1")
		})
	})
	t.Run("whose observation is over rejects what still comes", func(t *testing.T) {
		inObservedScene(t, endpoint.Config{}, func(t *testing.T, s *scene) {
			w := watch(t, s.client, s.gauge(codes.GET))
			w.states(10 * time.Second)
			s.net.SetFilter(func(p netsim.Packet) netsim.Verdict { return netsim.Verdict{Drop: p.To == groupAddr} })
			w.stop()
			pass(10 * time.Second)
			if s.observers() != 3 {
				t.Fatal(s.observers())
			}
			for i := range s.lamps {
				s.change(i, "x")
			}
			pass(10 * time.Second)
			if s.observers() != 0 {
				t.Fatal(s.observers())
			}
		})
	})
}

// rekey gives all members a new Security Context; the former receives on.
func (s *scene) rekey(t *testing.T, gid []byte) {
	t.Helper()
	s.fleet.params.Gid = gid
	install := func(id string, g *grouposcore.Group) {
		c, err := grouposcore.NewContext(s.fleet.params,
			grouposcore.Identity{SenderID: []byte(id), Credential: s.fleet.credential(id), PrivateKey: s.fleet.keys[id]}, oscore.NewEphemeralSequence(), s.fleet.creds)
		if err != nil {
			t.Fatal(err)
		}
		g.Install(c, time.Minute, time.Now())
	}
	install("c", s.group)
	for i, g := range s.groups {
		install(fmt.Sprintf("s%d", i+1), g)
	}
}
