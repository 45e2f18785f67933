package member_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/member"
)

// gmCredential is the Group Manager's credential that a device works with.
func (d *device) gmCredential(group string) []byte {
	d.w.t.Helper()
	k, err := d.of(group).InsecureCopy()
	d.w.check(err)
	return k.Params.GMCredential
}

// identity names the Group Manager's key pair in a group.
func (w *world) identity(group string) string {
	w.t.Helper()
	g, err := w.gm.Group(w.t.Context(), group)
	w.check(err)
	return g.Identity
}

// unavailable makes the servers refuse the next n requests to one resource with
// 5.03. failed counts them.
func (w *world) unavailable(code codes.Code, path string, n int) (failed func() int) {
	count := 0
	w.asking.Lock()
	defer w.asking.Unlock()
	w.instead = func(a asked, rw mux.ResponseWriter) bool {
		w.asking.Lock()
		defer w.asking.Unlock()
		if a.code != code || a.path != path || count == n {
			return false
		}
		count++
		_ = rw.SetResponse(codes.ServiceUnavailable, message.TextPlain, nil)
		return true
	}
	return func() int {
		w.asking.Lock()
		defer w.asking.Unlock()
		return count
	}
}

func TestManagersKeyIsRotated(t *testing.T) {
	t.Run("KG-GET-14 members verify the new credential and talk under it, with those who join later", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			before := sw.gmCredential("hall")
			_, err := w.gm.RotateIdentity(t.Context(), w.identity("hall"))
			w.check(err)
			sw.await(member.EventRekeyed, 1)
			l[0].await(member.EventRekeyed, 1)
			late := w.device("lamp-2", responder)
			late.join("hall", responder)
			after := sw.gmCredential("hall")
			if bytes.Equal(after, before) || !bytes.Equal(after, late.gmCredential("hall")) {
				t.Error("the switch still has the former credential")
			}
			sw.answers("hall", "lamp-1", "lamp-2")
			_, err = sw.set("hall", "lamp-1", "on")
			w.check(err)
		})
	})
	t.Run("KG-GET-14 by MAC, in a group without signatures", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(func(c *manager.GroupConfig) { c.Modes = manager.PairwiseOnly }, "lamp-1")
			before := sw.gmCredential("hall")
			_, err := w.gm.RotateIdentity(t.Context(), w.identity("hall"))
			w.check(err)
			sw.await(member.EventRekeyed, 1)
			l[0].await(member.EventRekeyed, 1)
			if bytes.Equal(sw.gmCredential("hall"), before) || !bytes.Equal(sw.gmCredential("hall"), l[0].gmCredential("hall")) {
				t.Error("the former credential is in use")
			}
			_, err = sw.set("hall", "lamp-1", "on")
			w.check(err)
			// One who was off meanwhile joins with the key of now, not that of its token.
			late := w.device("lamp-2", responder)
			late.join("hall", responder)
		})
	})
	t.Run("KG-GET-14 a credential without a valid proof is not taken", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			before := sw.gmCredential("hall")
			g := sw.of("hall")
			m := g.RekeyMessage(g.Status().Version+1, []byte{7}, bytes.Repeat([]byte{1}, 32))
			m.KDCCredential = []byte{0xa0}
			if err := g.TakeRekey(t.Context(), m); !errors.Is(err, member.ErrManager) {
				t.Errorf("error %v", err)
			}
			if !bytes.Equal(sw.gmCredential("hall"), before) || !sw.current("hall") {
				t.Error("what a message says without a proof was believed")
			}
			sw.answers("hall", "lamp-1")
		})
	})
	for _, how := range []member.Rekeying{member.RekeyByControlURI, member.RekeyByObservation} {
		t.Run("KG-GET-14 the keys wait until the new credential can be had: "+how.String(), func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				sw, lamp := w.observedHall(how)
				before := sw.gmCredential("hall")
				failed := w.unavailable(codes.GET, "/ace-group/hall/kdc-cred", 2)
				_, err := w.gm.RotateIdentity(t.Context(), w.identity("hall"))
				w.check(err)
				time.Sleep(time.Minute)
				if n := failed(); n != 2 {
					t.Fatalf("%d of 2 requests failed", n)
				}
				if !sw.current("hall") || !lamp.current("hall") {
					t.Errorf("%+v; %+v", sw.of("hall").Status(), lamp.of("hall").Status())
				}
				late := w.device("lamp-2", responder)
				late.join("hall", responder)
				for _, d := range []*device{sw, lamp} {
					if c := d.gmCredential("hall"); bytes.Equal(c, before) || !bytes.Equal(c, late.gmCredential("hall")) {
						t.Errorf("%s has another credential", d.name)
					}
				}
				sw.answers("hall", "lamp-1", "lamp-2")
			})
		})
	}
	t.Run("KG-GET-14 after missed rekeyings too", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			mend := w.cut(sw)
			_, err := w.gm.RotateIdentity(t.Context(), w.identity("hall"))
			w.check(err)
			l[0].await(member.EventRekeyed, 1)
			failed := w.unavailable(codes.GET, "/ace-group/hall/kdc-cred", 1)
			mend()
			if err := sw.of("hall").Check(t.Context()); !errors.Is(err, member.ErrRefused) || failed() != 1 {
				t.Errorf("error %v", err)
			}
			sw.awaitFor(member.EventMissed, 1, time.Minute)
			if !bytes.Equal(sw.gmCredential("hall"), l[0].gmCredential("hall")) {
				t.Error("the former credential is in use")
			}
			sw.answers("hall", "lamp-1")
		})
	})
}

func TestAlgorithmsChange(t *testing.T) {
	for name, change := range map[string]func(*manager.GroupConfig){
		"of encryption": func(c *manager.GroupConfig) { c.GroupEnc, c.AEAD = cose.AlgA128CTR, cose.AlgAESCCM16_128_128 },
		"of signatures": func(c *manager.GroupConfig) { c.Signature = cose.AlgEd25519 },
		"of the hash":   func(c *manager.GroupConfig) { c.HKDF, c.KeyAgreement = cose.AlgHMAC512, cose.AlgECDHSSHKDF512 },
	} {
		t.Run(name+": members take them with the rekeying and go on", func(t *testing.T) {
			simulate(t, func(t *testing.T, w *world) {
				sw, l := w.hall(nil, "lamp-1")
				_, err := w.gm.UpdateGroup(t.Context(), "hall", manager.GroupChange{Edit: change})
				w.check(err)
				sw.await(member.EventRekeyed, 1)
				l[0].await(member.EventRekeyed, 1)
				w.device("lamp-2", responder).join("hall", responder)
				sw.answers("hall", "lamp-1", "lamp-2")
				_, err = sw.set("hall", "lamp-1", "on")
				w.check(err)
			})
		})
	}
	t.Run("keys on another curve than the device's are not taken", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1")
			g := sw.of("hall")
			m := g.RekeyMessage(g.Status().Version+1, []byte{7}, bytes.Repeat([]byte{1}, 32))
			m.Config = &groupcomm.KeyMaterial{
				CredentialFormat: cose.FormatCCS, GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgES256, SignParams: groupcomm.SignParams(cose.CurveP256),
			}
			if err := g.TakeRekey(t.Context(), m); !errors.Is(err, member.ErrManager) {
				t.Errorf("error %v", err)
			}
			sw.answers("hall", "lamp-1")
		})
	})
	t.Run("a device that the change put out joins with a key pair that fits", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, l := w.hall(nil, "lamp-1")
			_, err := w.gm.UpdateGroup(t.Context(), "hall", manager.GroupChange{Edit: func(c *manager.GroupConfig) {
				c.Signature = cose.AlgES256
			}})
			w.check(err)
			for _, d := range []*device{sw, l[0]} {
				d.await(member.EventEvicted, 1)
			}
			l[0].join("hall", responder)
			sw.join("hall", requester)
			sw.answers("hall", "lamp-1")
		})
	})
}
