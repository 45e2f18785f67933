package member_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/member"
)

// full makes the device's store refuse every commit from the n-th on, until the
// returned function is called.
func (d *device) full(n int) (free func()) {
	d.disk.Before(func(keystore.Batch) error {
		if n--; n >= 0 {
			return nil
		}
		return fmt.Errorf("%w: %w", keystore.ErrNotApplied, keystore.ErrDiskFull)
	})
	return func() { d.disk.Before(nil) }
}

func TestStoreFails(t *testing.T) {
	t.Run("GO-2.6-1 at a join: nothing is kept, wherever it fails", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			w.device("lamp-1", responder).join("hall", responder)
			failed := 0
			for n := range 10 {
				d := w.device(fmt.Sprint("switch-", n), requester)
				free := d.full(n)
				_, err := d.Join(t.Context(), member.JoinOptions{Group: "hall", Roles: requester, Address: w.group})
				free()
				if err == nil {
					d.answers("hall", "lamp-1")
					continue
				}
				failed++
				if !errors.Is(err, keystore.ErrDiskFull) {
					t.Errorf("commit %d: %v", n, err)
				}
				if _, err := d.Group("hall"); !errors.Is(err, member.ErrNotMember) {
					t.Errorf("commit %d: group: %v", n, err)
				}
				d.crash()
				d.open()
				if len(d.Groups()) != 0 {
					t.Errorf("commit %d: a group is resumed", n)
				}
				d.join("hall", requester)
				d.answers("hall", "lamp-1")
			}
			if failed == 0 || failed == 10 {
				t.Errorf("%d of 10 joins failed", failed)
			}
		})
	})
	t.Run("GO-2.6.3.2-2 at a rekeying: the former keys stay, and the new ones come when there is room", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1", "lamp-2")
			sw.answers("hall", "lamp-1", "lamp-2")
			for n := range 2 {
				before := sw.of("hall").Status()
				free := sw.full(n)
				w.evict("hall", fmt.Sprint("lamp-", 2-n))
				time.Sleep(10 * time.Second)
				if n == 0 {
					if st := sw.of("hall").Status(); !bytes.Equal(st.Gid, before.Gid) || st.Stale {
						t.Errorf("before %+v, now %+v", before, st)
					}
				}
				free()
				for range 40 {
					time.Sleep(30 * time.Second)
					if sw.current("hall") {
						break
					}
				}
				if !sw.current("hall") {
					t.Errorf("now %+v; %s", sw.of("hall").Status(), sw.all())
				}
				l[1-n].await(member.EventEvicted, 1)
			}
		})
	})
	t.Run("GO-2.6.1-1 when numbers are to be reserved: none is used that was not", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			w.device("lamp-1", responder).join("hall", responder)
			sw := w.deviceWith("switch", func(c *member.Config) { c.SequenceBlock = 4 }, grant("hall", requester))
			sw.join("hall", requester)
			free := sw.full(0)
			sent := 0
			for range 20 {
				if sw.try("hall") == nil {
					sent++
				}
			}
			if sent > 4 {
				t.Errorf("%d requests under a block of 4", sent)
			}
			free()
			time.Sleep(time.Minute)
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KG-ERR-13 at an eviction: the keys are gone from memory at once, and from the store at the next start", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			g := l[0].of("hall")
			free := l[0].full(0)
			w.evict("hall", "lamp-1")
			<-g.Done()
			sw.ask("hall")
			if _, n := l[0].light.state(); n != 1 {
				t.Errorf("%d requests served", n)
			}
			free()
			w.check(w.as.SetGrants(t.Context(), "lamp-1", grants("other", responder)))
			l[0].crash()
			l[0].open()
			l[0].await(member.EventEvicted, 1)
			assertNoKeys(t, l[0])
		})
	})
}
