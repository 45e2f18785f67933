package member_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/member"
)

func TestJoin(t *testing.T) {
	for _, c := range []struct {
		name  string
		rig   func(*manager.GroupConfig)
		modes string
	}{
		{"KO-JREQ-09,KG-JOIN-09,KO-JRESP-18 signature, both modes", nil, "group pairwise"},
		{"KO-JREQ-09,KO-JRESP-23 signature, no pairwise mode", func(c *manager.GroupConfig) { c.Modes = manager.GroupModeOnly }, "group"},
		{"KO-JREQ-10,KO-JREQ-11,KO-JRESP-18,KO-JRESP-23 MAC, no group mode", func(c *manager.GroupConfig) { c.Modes = manager.PairwiseOnly }, "pairwise"},
		{"KO-JREQ-09,KO-JREQ-15 ES256", func(c *manager.GroupConfig) { c.Signature = cose.AlgES256 }, "group pairwise"},
		{"KO-JREQ-09,KO-JREQ-15 ES512", func(c *manager.GroupConfig) { c.Signature = cose.AlgES512; c.HKDF = cose.AlgHMAC512 }, "group pairwise"},
		{"KO-JREQ-09 A128CTR", func(c *manager.GroupConfig) { c.GroupEnc = cose.AlgA128CTR }, "group pairwise"},
	} {
		t.Run(c.name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.newGroup("hall", c.rig)
				l, sw := w.device("lamp-1", responder), w.device("switch", requester)
				l.join("hall", responder)
				sw.join("hall", requester)
				if c.modes != "pairwise" {
					if a := sw.answers("hall", "lamp-1")["lamp-1"]; a != nil && a.Mode != endpoint.GroupMode {
						t.Errorf("answer in mode %v", a.Mode)
					}
				}
				a, err := sw.set("hall", "lamp-1", "on")
				if c.modes == "group" {
					if err == nil {
						t.Errorf("pairwise request in a group without: %+v", a)
					}
					return
				}
				w.check(err)
				w.rekey("hall")
				sw.await(member.EventRekeyed, 1)
				l.await(member.EventRekeyed, 1)
				_, err = sw.set("hall", "lamp-1", "off")
				w.check(err)
			})
		})
	}
	t.Run("KO-JRESP-21,KO-JREQ-03,KG-JOIN-03 credentials and roles come with the join", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			p, err := sw.of("hall").FindPeer("lamp-2")
			w.check(err)
			if p.Roles != responder || !bytes.Equal(p.SenderID, l[1].of("hall").Status().SenderID) {
				t.Errorf("%+v", p)
			}
			if len(sw.of("hall").Peers()) != 2 || len(l[0].of("hall").Peers()) != 0 {
				t.Errorf("switch knows %v, lamp-1 knows %v", sw.of("hall").Peers(), l[0].of("hall").Peers())
			}
		})
	})
	t.Run("KG-JOIN-11,KG-REKEY-11 the device says where it takes rekeying messages", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil)
			m, _ := w.node("hall", "switch")
			if want := "coap://" + sw.addr.String() + "/ace-group/hall/node"; m.ControlURI != want {
				t.Errorf("control URI %q, want %q", m.ControlURI, want)
			}
		})
	})
}

func TestJoinRefused(t *testing.T) {
	refused := func(rig func(w *world) (*device, member.JoinOptions), want error) func(t *testing.T) {
		return func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				w.newGroup("hall", nil)
				d, o := rig(w)
				if _, err := d.Join(t.Context(), o); err == nil || want != errAny && !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
				if want != member.ErrAlreadyMember {
					if _, err := d.Group(o.Group); !errors.Is(err, member.ErrNotMember) {
						t.Errorf("group: %v", err)
					}
					assertNoKeys(t, d)
				}
			})
		}
	}
	hall := member.JoinOptions{Group: "hall", Roles: responder}
	t.Run("KG-ERR-09 no grant", refused(func(w *world) (*device, member.JoinOptions) {
		return w.deviceWith("d", nil, grant("other", responder)), hall
	}, member.ErrTokenRefused))
	t.Run("KG-ERR-09 fewer roles granted", refused(func(w *world) (*device, member.JoinOptions) {
		return w.device("d", responder), member.JoinOptions{Group: "hall", Roles: both}
	}, member.ErrTokenRefused))
	t.Run("KO-PAR-06 group not active", refused(func(w *world) (*device, member.JoinOptions) {
		w.check(w.gm.SetActive(w.t.Context(), "hall", false))
		return w.device("d", responder), hall
	}, member.ErrInactive))
	t.Run("KG-ERR-09 no such group", refused(func(w *world) (*device, member.JoinOptions) {
		return w.device("d", responder), member.JoinOptions{Group: "cellar", Roles: responder}
	}, member.ErrRefused))
	t.Run("KO-JREQ-02 roles that exclude each other", refused(func(w *world) (*device, member.JoinOptions) {
		return w.device("d", responder|monitor), member.JoinOptions{Group: "hall", Roles: responder | monitor}
	}, member.ErrConfig))
	t.Run("already a member", refused(func(w *world) (*device, member.JoinOptions) {
		d := w.device("d", responder)
		d.join("hall", responder)
		return d, hall
	}, member.ErrAlreadyMember))
	t.Run("revoked device", refused(func(w *world) (*device, member.JoinOptions) {
		d := w.device("d", responder)
		w.check(w.as.RevokeClient(w.t.Context(), "d", "stolen"))
		return d, hall
	}, member.ErrTokenRefused))
	t.Run("no server", refused(func(w *world) (*device, member.JoinOptions) {
		d := w.device("d", responder)
		w.cut(d)
		return d, hall
	}, errAny))
	t.Run("the token of a revoked device is not good for a new association", refused(func(w *world) (*device, member.JoinOptions) {
		d := w.device("d", both)
		w.newGroup("cellar", nil)
		d.join("cellar", responder)
		w.check(w.as.RevokeClient(w.t.Context(), "d", "stolen"))
		_, err := w.gm.EndClient(w.t.Context(), "as", "d", manager.CauseTokenRevoked)
		w.check(err)
		d.await(member.EventEvicted, 1)
		return d, hall
	}, member.ErrTokenRefused))
}

// errAny is an error of the context: nothing more is asked of it.
var errAny = errors.New("any")

func TestTwoGroups(t *testing.T) {
	t.Run("AO-005,AO-031,AO-032,KG-TOK-16,KO-JPROC-15 the second join extends the rights of the association", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			w.newGroup("cellar", func(c *manager.GroupConfig) { c.Signature = cose.AlgES256 })
			l, sw := w.device("lamp-1", responder), w.device("switch", requester)
			for _, g := range []string{"hall", "cellar"} {
				l.join(g, responder)
				sw.join(g, requester)
			}
			if n := sw.count(member.EventAssociated); n != 1 {
				t.Errorf("%d associations", n)
			}
			for _, g := range []string{"hall", "cellar"} {
				sw.answers(g, "lamp-1")
			}
			w.rekey("cellar")
			sw.await(member.EventRekeyed, 1)
			l.await(member.EventRekeyed, 1)
			for _, g := range []string{"hall", "cellar"} {
				sw.answers(g, "lamp-1")
			}
			w.check(sw.of("hall").Leave(t.Context()))
			sw.answers("cellar", "lamp-1")
			if len(sw.Groups()) != 1 {
				t.Errorf("%d groups", len(sw.Groups()))
			}
		})
	})
	t.Run("both are resumed", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			w.newGroup("cellar", nil)
			l, sw := w.device("lamp-1", responder), w.device("switch", requester)
			for _, g := range []string{"hall", "cellar"} {
				l.join(g, responder)
				sw.join(g, requester)
			}
			l.crash()
			l.open()
			l.await(member.EventNewID, 2)
			for _, g := range []string{"hall", "cellar"} {
				sw.answers(g, "lamp-1")
			}
		})
	})
}

func TestRejoin(t *testing.T) {
	t.Run("KG-JOIN-28,KG-JOIN-29 a device that lost its state gets a new Sender ID, and takes no old messages", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			rec := w.tap(l[0])
			_, err := sw.set("hall", "lamp-1", "on")
			w.check(err)
			before := l[0].of("hall").Status()
			l[0].stop()
			l[0].mem = keystore.NewMemory()
			l[0].open()
			l[0].join("hall", responder)
			after := l[0].of("hall").Status()
			if bytes.Equal(before.SenderID, after.SenderID) || !bytes.Equal(before.Gid, after.Gid) {
				t.Errorf("before %+v, after %+v", before, after)
			}
			w.replay(rec, l[0])
			if _, n := l[0].light.state(); n != 0 {
				t.Error("a request from before was served")
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KG-NODE-17 after leaving", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			w.check(l[0].of("hall").Leave(t.Context()))
			assertNoKeys(t, l[0])
			l[0].join("hall", responder)
			time.Sleep(time.Second)
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KG-ERR-13 after an eviction, if the device is still authorised", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			g := l[0].of("hall")
			w.evict("hall", "lamp-1")
			<-g.Done()
			if !errors.Is(g.Err(), member.ErrEvicted) {
				t.Errorf("%v", g.Err())
			}
			assertNoKeys(t, l[0])
			sw.answers("hall")
			l[0].join("hall", responder)
			time.Sleep(time.Second)
			sw.answers("hall", "lamp-1")
		})
	})
}

func TestBusyGroupManager(t *testing.T) {
	busy := func(w *world, n int, seconds byte) {
		w.instead = func(a asked, rw mux.ResponseWriter) bool {
			if a.path != "/authz-info" || n == 0 {
				return false
			}
			n--
			_ = rw.SetResponse(codes.TooManyRequests, message.TextPlain, nil, message.Option{ID: message.MaxAge, Value: []byte{seconds}})
			return true
		}
	}
	t.Run("a device that is told to wait joins a little later, with the same token", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			busy(w, 2, 2)
			start := time.Now()
			w.device("lamp-1", responder).join("hall", responder)
			if d := time.Since(start); d < 4*time.Second || d > 9*time.Second {
				t.Errorf("joined after %v", d)
			}
			if n := len(w.requests(codes.POST, "/token")); n != 1 {
				t.Errorf("%d token requests", n)
			}
		})
	})
	t.Run("one that would have to wait too long says so", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			busy(w, 1, 100)
			_, err := w.device("lamp-1", responder).Join(t.Context(), member.JoinOptions{Group: "hall", Roles: responder})
			if !errors.Is(err, member.ErrRefused) || errors.Is(err, member.ErrUnauthorised) {
				t.Errorf("error %v", err)
			}
		})
	})
}
