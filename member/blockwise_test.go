package member_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/member"
)

// crowdSize is how many members a large group has here: their credentials are
// some 36 KB.
const crowdSize = 300

// crowd makes members of a group that are off.
func (w *world) crowd(group string, n int) {
	w.t.Helper()
	for i := range n {
		d := w.device(fmt.Sprint("lamp-", i), responder)
		d.join(group, responder)
		d.stop()
		w.octet-- // its address is free again
	}
	w.devices = w.devices[:len(w.devices)-n]
}

// large makes a group with a crowd.
func (w *world) large() {
	w.t.Helper()
	w.newGroup("hall", func(c *manager.GroupConfig) { c.MaxMembers = 0 })
	w.crowd("hall", crowdSize)
}

// knows checks that a device has the credentials of the crowd.
func (d *device) knows(group string) {
	d.w.t.Helper()
	if n := len(d.of(group).Peers()); n != crowdSize {
		d.w.t.Errorf("%s knows %d members, want %d", d.name, n, crowdSize)
	}
	for _, i := range []int{0, crowdSize / 2, crowdSize - 1} {
		if _, err := d.of(group).FindPeer(fmt.Sprint("lamp-", i)); err != nil {
			d.w.t.Error(err)
		}
	}
}

// inLargeGroup joins, and asks for credentials by FETCH and by GET.
func (w *world) inLargeGroup() {
	w.t.Helper()
	sw := w.device("switch", requester)
	g := sw.join("hall", requester)
	sw.knows("hall")
	w.check(g.UpdatePeers(w.t.Context())) // FETCH: responders
	sw.knows("hall")
	a := w.device("both", both)
	a.join("hall", both)
	w.check(a.of("hall").UpdatePeers(w.t.Context())) // GET: all
	if n := len(a.of("hall").Peers()); n < crowdSize+1 {
		w.t.Errorf("%d members known", n)
	}
}

func TestLargeGroup(t *testing.T) {
	t.Run("KG-PAR-01 a join response of many blocks, over UDP", func(t *testing.T) {
		t.Cleanup(func() { goleak.VerifyNone(t) })
		w := loopback(t)
		w.large()
		w.inLargeGroup()
	})
	t.Run("KG-PAR-01 over a network that loses and doubles", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.large()
			var mu sync.Mutex
			r := rand.New(rand.NewPCG(3, 3))
			dropped := 0
			w.net.SetFilter(func(netsim.Packet) (v netsim.Verdict) {
				mu.Lock()
				defer mu.Unlock()
				if v.Drop = r.IntN(10) == 0; v.Drop {
					dropped++
				}
				v.Duplicate = r.IntN(10) / 9
				return v
			})
			w.patient = true
			w.inLargeGroup()
			if dropped == 0 {
				t.Error("nothing was lost")
			}
		})
	})
	t.Run("KO-PAR-04 a join request of several blocks: a large credential, and its renewal", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			sw := w.device("switch", requester)
			g := sw.join("hall", requester)
			l := w.device("lamp-1", responder)
			name := strings.Repeat("lamp ", 600)
			w.check(l.UseCredential(t.Context(), name))
			l.join("hall", responder)
			if n := len(w.joinRequests("hall")[1].Credential); n < 3000 {
				t.Errorf("a credential of %d bytes", n)
			}
			got := sw.ask("hall")
			if a := got[name]; len(got) != 1 || a == nil {
				t.Errorf("%d answers", len(got))
			}
			if _, err := g.FindPeer(name); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("KO-JPROC-09 a credential that is too large is refused, and the device can go on", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			l := w.device("lamp-1", responder)
			w.check(l.UseCredential(t.Context(), strings.Repeat("x", 9000)))
			if _, err := l.Join(t.Context(), member.JoinOptions{Group: "hall", Roles: responder}); err == nil {
				t.Fatal("taken")
			}
			if _, ok := w.node("hall", "lamp-1"); ok {
				t.Error("it is a member")
			}
			w.check(l.UseCredential(t.Context(), "lamp-1"))
			l.join("hall", responder)
		})
	})
}
