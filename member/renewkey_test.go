package member_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/member"
)

// credential is that of a device in a group.
func (d *device) credential(group string) []byte {
	d.w.t.Helper()
	k, err := d.of(group).InsecureCopy()
	d.w.check(err)
	return k.Identity.Credential.Bytes()
}

func TestRenewKey(t *testing.T) {
	for name, rig := range map[string]func(*manager.GroupConfig){
		"signature": nil, "MAC": func(c *manager.GroupConfig) { c.Modes = manager.PairwiseOnly },
	} {
		t.Run("KO-PAR-04 "+name+": the Group Manager and the others take the new credential", func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				sw, l := w.hall(rig, "lamp-1")
				_, err := sw.set("hall", "lamp-1", "on")
				w.check(err)
				before, id := l[0].credential("hall"), l[0].of("hall").Status().SenderID
				w.check(l[0].of("hall").RenewKey(t.Context()))
				after := l[0].credential("hall")
				if bytes.Equal(before, after) || bytes.Equal(id, l[0].of("hall").Status().SenderID) {
					t.Error("the lamp has the former key pair or Sender ID")
				}
				w.check(sw.of("hall").UpdatePeers(t.Context()))
				_, err = sw.set("hall", "lamp-1", "dim")
				w.check(err)
				if v, _ := l[0].light.state(); v != "dim" {
					t.Errorf("the lamp is %s", v)
				}
				// It outlives rekeyings and restarts.
				w.rekey("hall")
				l[0].await(member.EventRekeyed, 1)
				sw.await(member.EventRekeyed, 1)
				l[0].stop()
				l[0].open()
				if !bytes.Equal(l[0].credential("hall"), after) {
					t.Error("the key pair is gone")
				}
				_, err = sw.set("hall", "lamp-1", "off")
				w.check(err)
			})
		})
	}
	t.Run("KO-OPS-26 after the challenge was lost a new one is used", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			w.restart(false) // associations are gone, and their challenges
			w.check(l[0].of("hall").RenewKey(t.Context()))
			w.check(sw.of("hall").Check(t.Context()))
			if !l[0].current("hall") {
				t.Errorf("%+v", l[0].of("hall").Status())
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("an update whose outcome is not known is completed", func(t *testing.T) {
		for name, after := range map[string]func(l *device){
			"by itself":       func(*device) {},
			"after a restart": func(l *device) { l.crash(); l.open() },
		} {
			t.Run("KO-OPS-12 "+name, func(t *testing.T) {
				simulate(t, func(t *testing.T, w *world) {
					sw, l := w.hall(nil, "lamp-1")
					sw.answers("hall", "lamp-1")
					before := l[0].credential("hall")
					mend := w.cut(l[0])
					if err := l[0].of("hall").RenewKey(t.Context()); err == nil {
						t.Fatal("renewed without its Group Manager")
					}
					if !bytes.Equal(l[0].credential("hall"), before) {
						t.Error("a key pair is in use of which nobody knows")
					}
					sw.answers("hall", "lamp-1")
					mend()
					n := l[0].count(member.EventNewID)
					after(l[0])
					l[0].awaitFor(member.EventNewID, n+1, 10*time.Minute)
					if bytes.Equal(l[0].credential("hall"), before) {
						t.Error("the former key pair is in use")
					}
					sw.answers("hall", "lamp-1")
				})
			})
		}
	})
	t.Run("KO-OPS-12 one that is renewed over a missed rekeying comes with a new Sender ID too", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			before, id := l[0].credential("hall"), l[0].of("hall").Status().SenderID
			mend := w.cut(l[0])
			w.rekey("hall")
			sw.await(member.EventRekeyed, 1)
			mend()
			w.check(l[0].of("hall").RenewKey(t.Context()))
			if !l[0].current("hall") || bytes.Equal(l[0].credential("hall"), before) {
				t.Errorf("%+v", l[0].of("hall").Status())
			}
			if bytes.Equal(l[0].of("hall").Status().SenderID, id) {
				t.Error("the others know the former credential under this Sender ID")
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("KO-OPS-14 a monitor has no key pair to renew", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			w.newGroup("hall", nil)
			m := w.device("m", monitor)
			if err := m.join("hall", monitor).RenewKey(t.Context()); !errors.Is(err, member.ErrRole) {
				t.Errorf("error %v", err)
			}
		})
	})
	t.Run("what the former key protected is not taken under the new Sender ID", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			sw.answers("hall", "lamp-1")
			copied, err := l[0].of("hall").InsecureCopy()
			w.check(err)
			w.check(l[0].of("hall").RenewKey(t.Context()))
			sw.answers("hall", "lamp-1")
			k, err := sw.of("hall").InsecureCopy()
			w.check(err)
			cred, err := k.Credentials.Credential(nil, l[0].of("hall").Status().SenderID)
			if err != nil || errors.Is(err, grouposcore.ErrNoCredential) || bytes.Equal(cred.Bytes(), copied.Identity.Credential.Bytes()) {
				t.Errorf("credential of the new Sender ID: %v", err)
			}
		})
	})
}
