package member_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/member"
)

func TestSequenceNumbers(t *testing.T) {
	t.Run("GO-2.6.1-1 are reserved in time, however fast they are used", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			sw := w.deviceWith("switch", func(c *member.Config) { c.SequenceBlock = 4 }, grant("hall", requester))
			sw.join("hall", requester)
			for range 100 {
				sw.ask1("hall")
			}
			var high uint64
			w.check(sw.store.View(func(r keystore.Reader) error {
				return r.Scan(keystore.Key("sequence"), func(n keystore.Name, b []byte) error {
					if n.String() != sw.of("hall").SequenceName() {
						t.Errorf("record %v", n)
					}
					for _, x := range b {
						high = high<<8 | uint64(x)
					}
					return nil
				})
			}))
			if high < 100 || high > 112 {
				t.Errorf("numbers below %d are reserved", high)
			}
		})
	})
	t.Run("GO-2.6.1-1 of one epoch are not reserved for another", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			sw := w.deviceWith("switch", func(c *member.Config) { c.SequenceBlock = 2 }, grant("hall", requester))
			sw.join("hall", requester)
			for range 20 {
				w.rekey("hall")
				for range 5 {
					sw.ask1("hall")
				}
			}
			sw.await(member.EventRekeyed, 1)
			time.Sleep(time.Minute)
			n := 0
			w.check(sw.store.View(func(r keystore.Reader) error {
				return r.Scan(keystore.Key("sequence"), func(keystore.Name, []byte) error {
					n++
					return nil
				})
			}))
			if n != 1 {
				t.Errorf("%d sequence records", n)
			}
		})
	})
	t.Run("GO-2.6.2-3,GO-2.6.2-4,KO-OPS-04,GO-2.6.3.1-1 running out: a new Sender ID is asked for well before", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			w.device("lamp-1", responder).join("hall", responder)
			sw := w.deviceWith("switch", func(c *member.Config) { c.SequenceBlock = 16 }, grant("hall", requester))
			sw.join("hall", requester)
			sw.answers("hall", "lamp-1")
			before := sw.of("hall").Status()
			name := sw.of("hall").SequenceName()
			sw.stop()
			store, err := keystore.Open(sw.mem, keystore.Options{DataKey: dataKey})
			w.check(err)
			w.check(store.Update(t.Context(), func(tx *keystore.Tx) error {
				return tx.Scan(keystore.Key("sequence"), func(n keystore.Name, _ []byte) error {
					if n.String() != name {
						t.Errorf("record %v", n)
					}
					return tx.ReserveSequence(n, 1<<40-400)
				})
			}))
			w.check(store.Close())
			sw.open()
			w.rekeyed(sw, before)
			for range 400 {
				sw.ask1("hall")
				if sw.count(member.EventNewID) > 0 {
					break
				}
			}
			sw.await(member.EventNewID, 1)
			after := sw.of("hall").Status()
			if bytes.Equal(after.SenderID, before.SenderID) || !bytes.Equal(after.Gid, before.Gid) {
				t.Errorf("before %+v, after %+v", before, after)
			}
			sw.answers("hall", "lamp-1")
		})
	})
}

// rekeyed fails if a device has other keys than before.
func (w *world) rekeyed(d *device, before member.Status) {
	w.t.Helper()
	if st := d.of("hall").Status(); !bytes.Equal(st.Gid, before.Gid) {
		w.t.Fatalf("before %+v, now %+v", before, st)
	}
}
