package grouposcore

import (
	"bytes"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

func TestStoredWindows(t *testing.T) {
	lost := func(p *Params) { p.WindowsLost = true }
	stop := func(t *testing.T, s *Context) []byte {
		t.Helper()
		b, err := s.StopWindows()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// heard is a server's state after some requests.
	heard := func(t *testing.T) (*realm, []byte, *Context) {
		r := newRealm(t)
		s := r.at(t, "server", 0)
		hear(t, s, r.from(t, "client", 4))
		hear(t, s, r.from(t, "client", 6))
		hear(t, s, r.from(t, "other", 1))
		return r, stop(t, s), s
	}
	t.Run("GO-14.18-1 windows survive a clean stop", func(t *testing.T) {
		r, b, _ := heard(t)
		s := newRealm(t, lost).at(t, "server", 100)
		if err := s.RestoreWindows(b); err != nil {
			t.Fatal(err)
		}
		for _, seq := range []uint64{4, 6} {
			_, _, _, err := s.UnprotectRequest(r.from(t, "client", seq))
			wantErr(t, err, ErrReplay)
		}
		hear(t, s, r.from(t, "client", 5))
		r.add(identity(t, []byte{0x11}, "third"), "third")
		s.creds.(*StaticCredentials).Set([]byte{0x11}, r.ids["third"].Credential)
		hear(t, s, r.from(t, "third", 0)) // nothing was ever deleted
	})
	t.Run("a stopped context accepts nothing", func(t *testing.T) {
		r, _, s := heard(t)
		_, _, _, err := s.UnprotectRequest(r.from(t, "client", 7))
		wantErr(t, err, ErrWindowInvalid)
	})
	t.Run("GO-2.6.1.2-1 the deletion bit survives too", func(t *testing.T) {
		r := newRealm(t)
		a := r.at(t, "server", 0)
		hear(t, a, r.from(t, "client", 4))
		a.RemoveRecipient([]byte{0x77})
		hear(t, a, r.from(t, "other", 4))
		a.RemoveRecipient([]byte{0x77})
		s := newRealm(t, lost).at(t, "server", 100)
		if err := s.RestoreWindows(stop(t, a)); err != nil {
			t.Fatal(err)
		}
		hear(t, s, r.from(t, "client", 5))
		_, _, _, err := s.UnprotectRequest(r.from(t, "other", 5))
		wantErr(t, err, ErrWindowInvalid)
	})
	t.Run("a peer without credential is dropped", func(t *testing.T) {
		r, b, _ := heard(t)
		n := newRealm(t, lost)
		n.creds.Set([]byte{0x77}, nil)
		s := n.at(t, "server", 100)
		if err := s.RestoreWindows(b); err != nil {
			t.Fatal(err)
		}
		if s.Recipients() != 1 || !s.peers.sticky() {
			t.Fatal("dropped peer")
		}
		hear(t, s, r.from(t, "client", 5))
	})
	t.Run("more than fit", func(t *testing.T) {
		_, b, _ := heard(t)
		s := newRealm(t, lost, func(p *Params) { p.MaxRecipients = 1 }).at(t, "server", 100)
		if err := s.RestoreWindows(b); err != nil || s.Recipients() != 1 || !s.peers.sticky() {
			t.Fatal(err)
		}
	})
	t.Run("only where windows are lost", func(t *testing.T) {
		_, b, _ := heard(t)
		wantErr(t, newRealm(t).at(t, "server", 100).RestoreWindows(b), ErrParams)
	})
	t.Run("windows of another Gid are refused", func(t *testing.T) {
		_, b, _ := heard(t)
		s := newRealm(t, lost, func(p *Params) { p.Gid = []byte{9} }).at(t, "server", 100)
		wantErr(t, s.RestoreWindows(b), ErrParams)
	})
	t.Run("what is none is refused", func(t *testing.T) {
		_, b, _ := heard(t)
		gid := defaults().Gid
		again, err := cborx.Marshal(storedWindows{Version: windowsVersion, Gid: gid, Windows: []storedWindow{{ID: []byte{0x25}}}})
		if err != nil {
			t.Fatal(err)
		}
		future, err := cborx.Marshal(storedWindows{Version: windowsVersion + 1, Gid: gid, Windows: []storedWindow{}})
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, {0}, b[:len(b)-1], append(bytes.Clone(b), 0), again, future} {
			s := newRealm(t, lost).at(t, "server", 100)
			wantErr(t, s.RestoreWindows(bad), ErrParams)
			if s.Recipients() != 0 || !s.peers.sticky() {
				t.Fatal("half restored")
			}
		}
	})
}

func FuzzRestoreWindows(f *testing.F) {
	r := newRealm(f)
	s := r.at(f, "server", 0)
	hear(f, s, r.from(f, "client", 4))
	b, err := s.StopWindows()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	r.params.WindowsLost = true
	f.Fuzz(func(t *testing.T, b []byte) {
		c := r.at(t, "server", 0)
		if err := c.RestoreWindows(b); err != nil && (c.Recipients() != 0 || !c.peers.sticky()) {
			t.Fatal("half restored")
		}
	})
}
