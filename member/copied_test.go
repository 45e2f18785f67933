package member_test

import (
	"testing"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// A context with the Authorization Server lasts for a start of the device, so
// that the use of one that was replaced gives a second holder of the secret away.
func TestCopiedSecret(t *testing.T) {
	alarms := func(w *world) uint64 {
		w.t.Helper()
		c, err := w.as.Client("lamp")
		w.check(err)
		return c.Alarms
	}
	begin := func(w *world) *device {
		for _, name := range []string{"hall", "attic", "yard"} {
			w.newGroup(name, nil)
		}
		d := w.device("lamp", ace.RoleResponder)
		d.join("hall", ace.RoleResponder)
		return d
	}
	t.Run("the secret of a device in use at two places raises an alarm, and the device goes on", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			original := begin(w)
			w.octet++
			thief := &device{w: w, name: "thief", addr: w.addrOf(w.octet), enrol: original.enrol, mem: keystore.NewMemory(), told: make(chan struct{}, 1)}
			w.devices = append(w.devices, thief)
			thief.open()
			thief.join("attic", ace.RoleResponder)
			if n := alarms(w); n != 0 {
				t.Fatalf("%d alarms before the original asked again", n)
			}
			original.join("yard", ace.RoleResponder)
			if n := alarms(w); n != 1 {
				t.Errorf("%d alarms after both asked, want 1", n)
			}
		})
	})
	t.Run("starts of the device, and of the Authorization Server, raise none", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			d := begin(w)
			d.join("attic", ace.RoleResponder)
			d.stop()
			d.open()
			d.join("yard", ace.RoleResponder)
			w.restart(false)
			w.newGroup("roof", nil)
			d.join("roof", ace.RoleResponder)
			if n := alarms(w); n != 0 {
				t.Errorf("%d alarms", n)
			}
		})
	})
}
