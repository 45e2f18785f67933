package member_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/member"
)

// tap records the datagrams that come to a device.
type tap struct {
	mu   sync.Mutex
	seen []netsim.Packet
}

func (w *world) tap(d *device) *tap {
	t := &tap{}
	w.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
		if p.Receiver == d.addr && p.From != w.addr {
			t.mu.Lock()
			defer t.mu.Unlock()
			p.Data = bytes.Clone(p.Data)
			t.seen = append(t.seen, p)
		}
		return netsim.Verdict{}
	})
	return t
}

// replay sends what was recorded again, from addresses of nobody, so that no
// memory for duplicates knows it.
func (w *world) replay(t *tap, d *device) {
	w.t.Helper()
	t.mu.Lock()
	seen := slices.Clone(t.seen)
	t.mu.Unlock()
	if len(seen) == 0 {
		w.t.Fatal("nothing was recorded")
	}
	c, err := w.net.Listen(w.addrOf(200))
	w.check(err)
	defer c.Close()
	for _, p := range seen {
		w.check(c.WriteTo(p.Data, d.addr, w.addr.Addr(), 0, 0))
	}
	time.Sleep(2 * time.Second)
}

func TestDeviceRestarts(t *testing.T) {
	t.Run("GO-2.6-1 clean stop: a responder goes on with its Sender ID and its windows, without its Group Manager", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			rec := w.tap(l[0])
			_, err := sw.set("hall", "lamp-1", "on")
			w.check(err)
			before := l[0].of("hall").Status()
			l[0].stop()
			mend := w.cut(l[0], sw)
			l[0].open()
			after := l[0].of("hall").Status()
			if after.Stale || !bytes.Equal(after.SenderID, before.SenderID) || after.Version != before.Version {
				t.Fatalf("before %+v, after %+v", before, after)
			}
			w.replay(rec, l[0])
			if _, n := l[0].light.state(); n != 0 {
				t.Error("a replayed request was served")
			}
			_, err = sw.set("hall", "lamp-1", "dim")
			w.check(err)
			if v, n := l[0].light.state(); v != "dim" || n != 1 {
				t.Errorf("%s after %d requests", v, n)
			}
			mend()
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("GO-2.6.1.1-2,GO-2.6.1.1-3,KO-OPS-04 loss of power: a responder gets a new Sender ID, and challenges before it serves", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			rec := w.tap(l[0])
			_, err := sw.set("hall", "lamp-1", "on")
			w.check(err)
			before := l[0].of("hall").Status()
			l[0].crash()
			l[0].open()
			l[0].await(member.EventNewID, 1)
			after := l[0].of("hall").Status()
			if bytes.Equal(after.SenderID, before.SenderID) || !bytes.Equal(after.Gid, before.Gid) {
				t.Fatalf("before %+v, after %+v", before, after)
			}
			w.replay(rec, l[0])
			if _, n := l[0].light.state(); n != 0 {
				t.Error("a replayed request was served")
			}
			sw.answers("hall", "lamp-1")
			if _, n := l[0].light.state(); n != 1 {
				t.Errorf("%d requests served", n)
			}
		})
	})
	t.Run("GO-2.6.1.1-1,GO-2.6.1.1-4 loss of power: a responder without its Group Manager neither answers nor accepts", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			l[0].crash()
			mend := w.cut(l[0])
			l[0].open()
			sw.answers("hall")
			if !l[0].of("hall").Status().Stale {
				t.Error("it claims to be at work")
			}
			mend()
			l[0].awaitFor(member.EventNewID, 1, 10*time.Minute)
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("GO-2.6.1-1 loss of power: a requester goes on at once, with numbers it never used", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			for range 3 {
				_, err := sw.set("hall", "lamp-1", "on")
				w.check(err)
			}
			before := sw.of("hall").Status()
			sw.crash()
			w.cut(sw, l[0])
			sw.open()
			for range 3 {
				_, err := sw.set("hall", "lamp-1", "off")
				w.check(err)
			}
			if after := sw.of("hall").Status(); !bytes.Equal(after.SenderID, before.SenderID) {
				t.Errorf("before %+v, after %+v", before, after)
			}
			if _, n := l[0].light.state(); n != 6 {
				t.Errorf("%d of 6 requests served", n)
			}
		})
	})
	t.Run("GO-2.6.1-1 windows of a clean stop serve once", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			l[0].stop()
			l[0].open()
			rec := w.tap(l[0])
			_, err := sw.set("hall", "lamp-1", "on")
			w.check(err)
			l[0].crash()
			l[0].open()
			l[0].await(member.EventNewID, 1)
			w.replay(rec, l[0])
			if _, n := l[0].light.state(); n != 0 {
				t.Error("a request from before the crash was served again")
			}
		})
	})
	t.Run("GO-2.6.1.1-4 a member with both roles hears answers after a loss of power", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			a, b := w.device("a", both), w.device("b", both)
			a.join("hall", both)
			b.join("hall", both)
			a.answers("hall", "b")
			a.crash()
			a.open()
			a.await(member.EventNewID, 1)
			a.answers("hall", "b")
			b.answers("hall", "a")
		})
	})
	t.Run("KG-NODE-07 a device that missed a rekeying while it was off gets the new keys", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			for _, d := range []*device{sw, l[0]} {
				d.stop()
			}
			w.rekey("hall")
			for _, d := range []*device{sw, l[0]} {
				d.open()
				d.await(member.EventMissed, 1)
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KG-ERR-12,KG-NODE-17 a device that was off longer than its token lasts joins again", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			l[0].stop()
			l[1].crash()
			time.Sleep(11 * time.Hour)
			if _, ok := w.node("hall", "lamp-1"); ok {
				t.Fatal("lamp-1 is still a member")
			}
			for _, d := range l {
				d.open()
				d.await(member.EventJoined, 2)
				if d.count(member.EventEvicted) != 0 {
					t.Errorf("%s: %s", d.name, d.all())
				}
			}
			sw.answers("hall", "lamp-1", "lamp-2")
		})
	})
	t.Run("KG-ERR-13 a device that was evicted and may not join any more is out", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			_, l := w.hall(nil, "lamp-1")
			l[0].stop()
			w.check(w.as.SetGrants(t.Context(), "lamp-1", grants("other", responder)))
			w.evict("hall", "lamp-1")
			l[0].open()
			l[0].await(member.EventEvicted, 1)
			if _, err := l[0].Group("hall"); !errors.Is(err, member.ErrNotMember) {
				t.Errorf("group: %v", err)
			}
			assertNoKeys(t, l[0])
		})
	})
	t.Run("GO-2.6.1-1 state that was set back is noticed, and the numbers in it are not used", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.anchors = true
			w.newGroup("hall", nil)
			w.device("lamp-1", responder).join("hall", responder)
			sw := w.deviceWith("switch", func(c *member.Config) { c.SequenceBlock = 8 }, grant("hall", requester))
			sw.join("hall", requester)
			sw.answers("hall", "lamp-1")
			old := sw.mem.Clone()
			before := sw.of("hall").Status()
			for range 40 { // beyond the block that the copy knows of
				sw.ask1("hall")
			}
			sw.stop()
			sw.mem = old
			sw.open()
			sw.await(member.EventNewID, 1)
			if after := sw.of("hall").Status(); bytes.Equal(after.SenderID, before.SenderID) {
				t.Errorf("before %+v, after %+v", before, after)
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("GO-14.18-1 a monitor's windows do not come back with state that was set back", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.anchors = true
			w.newGroup("hall", nil)
			m := w.device("m", monitor)
			m.join("hall", monitor)
			sw := w.device("switch", requester)
			sw.join("hall", requester)
			sw.ask1("hall")
			time.Sleep(3 * time.Second)
			m.stop()
			old := m.mem.Clone()
			m.open()
			rec := &tap{}
			w.net.SetFilter(func(p netsim.Packet) netsim.Verdict {
				if p.To == w.group && p.From == sw.addr {
					rec.mu.Lock()
					defer rec.mu.Unlock()
					p.Data = bytes.Clone(p.Data)
					rec.seen = append(rec.seen, p)
				}
				return netsim.Verdict{}
			})
			sw.ask1("hall")
			time.Sleep(3 * time.Second)
			if _, n := m.light.state(); n != 1 {
				t.Fatalf("it heard %d requests: its windows of the clean stop were not taken up", n)
			}
			m.stop()
			m.mem = old
			m.open()
			time.Sleep(time.Minute)
			w.replay(rec, m)
			if _, n := m.light.state(); n != 0 {
				t.Errorf("%d requests were taken again", n)
			}
		})
	})
	t.Run("GO-14.18-1 a monitor keeps one mark of its windows, however often it is stopped in another epoch", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			m := w.device("m", monitor)
			m.join("hall", monitor)
			sw := w.device("switch", requester)
			sw.join("hall", requester)
			for range 3 {
				w.rekey("hall")
				time.Sleep(3 * time.Second)
				if !m.current("hall") {
					t.Fatalf("%+v", m.of("hall").Status())
				}
				m.stop()
				m.open()
			}
			var marks []string
			w.check(m.store.View(func(r keystore.Reader) error {
				return r.Scan(keystore.Key("sequence"), func(n keystore.Name, _ []byte) error {
					marks = append(marks, n.String())
					return nil
				})
			}))
			if len(marks) != 1 || marks[0] != m.of("hall").SequenceName() {
				t.Errorf("%v", marks)
			}
			sw.ask1("hall")
			time.Sleep(3 * time.Second)
			if _, n := m.light.state(); n != 1 {
				t.Errorf("it heard %d requests", n)
			}
		})
	})
}

func TestFreshness(t *testing.T) {
	t.Run("GO-9-15 with echo the first request of each peer is challenged, and then served", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			echo := func(c *member.Config) { c.Freshness = grouposcore.RequireEcho }
			l := w.deviceWith("lamp-1", echo, grant("*", responder))
			l.join("hall", responder)
			w.deviceWith("m", echo, grant("*", monitor)).join("hall", monitor) // which cannot challenge
			sw := w.device("switch", requester)
			sw.join("hall", requester)
			rec := w.tap(l)
			for want := 2; want <= 3; want++ { // messages of the switch to the lamp alone, after each request
				_, err := sw.set("hall", "lamp-1", "on")
				w.check(err)
				if n := len(rec.seen); n != want {
					t.Errorf("%d requests, want %d", n, want)
				}
			}
			if _, n := l.light.state(); n != 2 {
				t.Errorf("%d requests served", n)
			}
		})
	})
}

// ask1 sends a request to the group and waits for nobody.
func (d *device) ask1(group string) {
	d.w.t.Helper()
	ctx, cancel := context.WithTimeout(d.w.t.Context(), time.Millisecond)
	defer cancel()
	for _, err := range d.of(group).Request(ctx, member.Request{Code: codes.GET, Path: "/light"}) {
		if err != nil {
			d.w.t.Fatal(err)
		}
	}
}

// memoryAnchor is an anchor outside the data.
type memoryAnchor struct{ b []byte }

func (a *memoryAnchor) Load() ([]byte, error) { return a.b, nil }

func (a *memoryAnchor) Store(b []byte) error {
	a.b = bytes.Clone(b)
	return nil
}

// assertNoKeys checks that a device without groups has no record but its own
// key pairs and its counters.
func assertNoKeys(t *testing.T, d *device) {
	t.Helper()
	w := d.w
	w.check(d.store.View(func(r keystore.Reader) error {
		for _, kind := range []string{"group", "sequence", "windows", "peer"} {
			if err := r.Scan(keystore.Key(kind), func(n keystore.Name, _ []byte) error {
				t.Errorf("record %v is left", n)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestManagerRestarts(t *testing.T) {
	for _, keep := range []bool{true, false} {
		name := map[bool]string{
			true:  "KG-REKEY-23 with its associations: the members get the new keys",
			false: "KG-REKEY-19 without: the members find out by themselves",
		}[keep]
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				sw, l := w.hall(nil, "lamp-1", "lamp-2")
				sw.answers("hall", "lamp-1", "lamp-2")
				w.restart(keep)
				if keep {
					for _, d := range append(slices.Clone(l), sw) {
						d.await(member.EventRekeyed, 1)
					}
				} else {
					w.check(sw.of("hall").Check(t.Context())) // one member has the new keys
					// The others hear an unknown Gid, and the request waits until they know it.
					sw.answers("hall", "lamp-1", "lamp-2")
					for _, d := range l {
						d.awaitFor(member.EventMissed, 1, 10*time.Second)
					}
				}
				for _, d := range append(slices.Clone(l), sw) {
					if !d.current("hall") {
						t.Errorf("%s has %+v", d.name, d.of("hall").Status())
					}
				}
				sw.answers("hall", "lamp-1", "lamp-2")
				w.rekey("hall")
				for _, d := range append(slices.Clone(l), sw) {
					d.await(member.EventRekeyed, map[bool]int{true: 2, false: 1}[keep])
				}
			})
		})
	}
	t.Run("KG-ERR-12 a Group Manager that was set back does not know the member any more", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			sw := w.device("switch", requester)
			l := w.device("lamp-1", responder)
			before := w.mem.Clone()
			l.join("hall", responder)
			g := sw.join("hall", requester)
			w.stop()
			w.mem = before
			w.start(false)
			if err := g.Check(t.Context()); !errors.Is(err, member.ErrEvicted) {
				t.Errorf("check: %v", err)
			}
			time.Sleep(time.Second)
			assertNoKeys(t, sw)
			sw.join("hall", requester)
		})
	})
}
