package manager

import (
	"context"
	"sync"
	"testing"

	"github.com/cohort-iot/cohort/ace/groupcomm"
)

// tree is a rekeying scheme that announces something.
type tree struct {
	uri string

	mu        sync.Mutex
	rekeyed   []uint64
	dissolved []string
	arrived   chan struct{}
}

func (s *tree) Number() int64 { return 7 }

func (s *tree) Announce(string) Announcement {
	return Announcement{ManagementKeys: []byte{1, 2, 3}, ControlURI: s.uri}
}

func (s *tree) Rekeyed(_ context.Context, _ string, version uint64, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, err := groupcomm.ParseRekeyMessage(payload); err == nil && m.Version == version {
		s.rekeyed = append(s.rekeyed, version)
	}
	s.arrived <- struct{}{}
	return nil
}

func (s *tree) Dissolved(_ context.Context, group string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dissolved = append(s.dissolved, group)
	return nil
}

func TestScheme(t *testing.T) {
	t.Parallel()
	s := &tree{uri: "coap://[ff35:30:2001:db8::1]/ace-group/g1", arrived: make(chan struct{}, 16)}
	w := newWorld(t, func(o *Options) { o.Scheme = s })
	ctx := context.Background()
	w.group("g1", nil)
	d, j := w.lamp("a", "g1")
	t.Run("KO-RK-04 a join response signals a scheme that is not Point-to-Point", func(t *testing.T) {
		if j.Response.RekeyingScheme != 7 || string(j.Response.MgtKeyMaterial) != "\x01\x02\x03" {
			t.Fatalf("%+v", j.Response)
		}
	})
	t.Run("KG-JRESP-14 and the address of all members", func(t *testing.T) {
		if j.Response.ControlGroupURI != s.uri {
			t.Fatalf("%+v", j.Response)
		}
	})
	t.Run("KG-GET-03 the keying material repeats scheme and management keys", func(t *testing.T) {
		k, err := w.Material(ctx, d.caller, "g1")
		if err != nil || k.RekeyingScheme != 7 || string(k.MgtKeyMaterial) != "\x01\x02\x03" {
			t.Fatalf("%+v, %v", k, err)
		}
	})
	t.Run("a new version goes to all at once", func(t *testing.T) {
		if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
			t.Fatal(err)
		}
		eventually(t, "version 1 is sent", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.rekeyed) > 0 && s.rekeyed[len(s.rekeyed)-1] == 1
		})
	})
	for _, bad := range []string{"coap://[ff35::1]/ace-group/g1/nodes", "coap://[ff35::1]/ace-group/g1/nodes/", "coap://[ff35::1]/other", "/ace-group/g1", "coap:///ace-group/g1"} {
		t.Run("KG-JRESP-15 an address that must not be announced: "+bad, func(t *testing.T) {
			_, _, err := (&Service{opt: Options{Scheme: &tree{uri: bad}}}).announcement("g1")
			wantKind(t, err, KindInternal)
		})
	}
	t.Run("KO-REM-03 all members evicted at once are told together", func(t *testing.T) {
		_, b := w.lamp("b", "g1")
		if _, err := w.EvictMany(ctx, "g1", []string{b.Node}, CauseOperator); err != nil {
			t.Fatal(err)
		}
		if len(s.dissolved) != 0 {
			t.Fatal("one is left")
		}
		if _, err := w.EvictMany(ctx, "g1", []string{j.Node}, CauseOperator); err != nil {
			t.Fatal(err)
		}
		if len(s.dissolved) != 1 || s.dissolved[0] != "g1" {
			t.Fatal(s.dissolved)
		}
	})
	if n := (PointToPoint{}); n.Number() != 0 || n.Announce("g1").ControlURI != "" {
		t.Fatal("Point-to-Point announces something")
	}
}
