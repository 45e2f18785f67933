package member

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/keystore"
)

func TestServerAddr(t *testing.T) {
	for _, c := range []struct{ uri, addr, path string }{
		{"coap://192.0.2.1", "192.0.2.1:5683", "token"},
		{"coap://192.0.2.1:61616/", "192.0.2.1:61616", "token"},
		{"coap://[2001:db8::1]/as/token", "[2001:db8::1]:5683", "as/token"},
		{"coap://[2001:db8::1]:1/x/", "[2001:db8::1]:1", "x"},
	} {
		a, p, err := serverAddr(c.uri, "token")
		if err != nil || a.String() != c.addr || p != c.path {
			t.Errorf("%s: %v %q %v", c.uri, a, p, err)
		}
	}
	for _, uri := range []string{
		"", "192.0.2.1", "coaps://192.0.2.1", "coap://gm.example", "coap://192.0.2.1:0", "coap://192.0.2.1:70000", "coap://192.0.2.1/a?b",
		"coap://192.0.2.1/a#b", "coap://u@192.0.2.1", "coap://224.0.1.187", "coap://0.0.0.0", "coap://[::]:1", "coap:///token", "coap://\x7f",
	} {
		if a, _, err := serverAddr(uri, ""); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v, %v", uri, a, err)
		}
	}
}

func TestSenderIDNumbers(t *testing.T) {
	ids := [][]byte{{}, {0}, {1}, {0, 0}, {1, 0}, {0, 1}, bytes.Repeat([]byte{0}, 7), bytes.Repeat([]byte{255}, 7), bytes.Repeat([]byte{255}, 6)}
	seen := map[uint64][]byte{}
	for _, id := range ids {
		n := senderIDNumber(id)
		if other, ok := seen[n]; ok {
			t.Errorf("%x and %x are both %d", other, id, n)
		}
		seen[n] = id
	}
}

func TestBackoff(t *testing.T) {
	d := &Device{cfg: Config{Rand: rand.Reader}}
	b := backoff{first: time.Second, most: time.Minute}
	for i, most := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		most *= time.Second
		if w := b.next(d); w > most || w <= most/2-1 {
			t.Errorf("wait %d is %v, at most %v wanted", i, w, most)
		}
	}
	for range 100 {
		b.next(d)
	}
	b.reset()
	if w := b.next(d); w > time.Second {
		t.Errorf("after a success %v", w)
	}
	if w := d.spread(time.Second, 0); w != time.Second {
		t.Errorf("spread over nothing: %v", w)
	}
	blind := &Device{cfg: Config{Rand: bytes.NewReader(nil)}}
	if w := blind.spread(time.Second, time.Second); w != time.Second {
		t.Errorf("without randomness: %v", w)
	}
}

func TestBucket(t *testing.T) {
	b := bucket{size: 3, every: time.Second}
	now := time.Unix(1000, 0)
	for i := range 3 {
		if at := b.ready(now); at.After(now) {
			t.Fatalf("event %d has to wait until %v", i, at)
		}
		b.take(now)
	}
	if at := b.ready(now); !at.Equal(now.Add(time.Second)) {
		t.Errorf("the fourth is allowed at %v", at)
	}
	now = now.Add(time.Second)
	if at := b.ready(now); at.After(now) {
		t.Errorf("a second later: %v", at)
	}
	b.take(now)
	if at := b.ready(now.Add(time.Hour)); at.After(now.Add(time.Hour)) {
		t.Errorf("an hour later: %v", at)
	}
}

func credential(t *testing.T, name string) *cose.Credential {
	t.Helper()
	k, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cose.NewCCS(name, k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDirectory(t *testing.T) {
	d := newDirectory()
	d.rekeyed([]byte{1}, nil)
	a, b := credential(t, "a"), credential(t, "b")
	for _, p := range []*peer{{id: []byte{1}, cred: a}, {id: []byte{2}, cred: b}} {
		if added, changed := d.put(p); !added || changed {
			t.Errorf("put: %v %v", added, changed)
		}
	}
	if _, changed := d.put(&peer{id: []byte{2}, cred: a}); !changed {
		t.Error("another credential is no change")
	}
	if _, changed := d.put(&peer{id: []byte{2}, cred: a}); changed {
		t.Error("the same credential is a change")
	}
	look := func(gid, id byte) error {
		_, err := d.Credential([]byte{gid}, []byte{id})
		return err
	}
	if look(1, 1) != nil || look(1, 3) == nil || look(9, 1) == nil {
		t.Error("first epoch")
	}
	d.heard([]byte{1}, netip.MustParseAddrPort("192.0.2.1:5683"))
	d.put(&peer{id: []byte{0}, cred: a}) // a has a new Sender ID
	if p, ok := d.find("a"); !ok || !bytes.Equal(p.SenderID, []byte{0}) || p.Addr.String() != "192.0.2.1:5683" {
		t.Errorf("a is found as %+v", p)
	}
	d.rekeyed([]byte{2}, [][]byte{{2}})
	d.put(&peer{id: []byte{2}, cred: b}) // somebody else has the Sender ID now
	if look(2, 1) != nil || look(2, 2) != nil || look(1, 1) != nil {
		t.Error("second epoch")
	}
	if !errors.Is(look(1, 2), grouposcore.ErrNoCredential) {
		t.Error("a stale member is known under the former Gid")
	}
	d.forgetAll()
	if look(2, 1) == nil || d.len() != 0 {
		t.Error("somebody is known")
	}
}

func TestParked(t *testing.T) {
	c := clock.NewFake(time.Unix(1000, 0))
	g := joiner(t, ace.RoleResponder)
	g.d.cfg.Clock = c
	park := func(gid, id byte) bool {
		return g.park(coapmsg.OSCOREOption{KIDContext: []byte{gid}, KID: []byte{id}})
	}
	for i := range byte(maxParked) {
		if !park(i, 1) {
			t.Fatalf("no room for request %d", i)
		}
	}
	if park(99, 1) {
		t.Error("more room than there is")
	}
	if !park(3, 1) {
		t.Error("a further request of one that waits needs no place of its own")
	}
	c.Advance(parkedFor)
	if !park(99, 1) || len(g.parked) != 1 {
		t.Errorf("%d wait, of which the endpoint has given up all but one", len(g.parked))
	}
}

func TestWhatGroupManagerMustNotGive(t *testing.T) {
	key := groupcomm.KeyMaterial{Gid: []byte{1}, MasterSecret: []byte("secret"), SenderID: []byte{1}}
	member := groupRecord{Roles: 6}
	ok := newEpoch{key: key}
	if err := ok.check(&member); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(e *newEpoch, r *groupRecord){
		"no sender id":        func(e *newEpoch, _ *groupRecord) { e.key.SenderID = nil },
		"sender id of 8":      func(e *newEpoch, _ *groupRecord) { e.key.SenderID = make([]byte, 8) },
		"monitor's sender id": func(_ *newEpoch, r *groupRecord) { r.Roles = 8 },
		"keys again":          func(e *newEpoch, r *groupRecord) { r.Spent = remember(nil, markOf(e.key)) },
	} {
		e, r := ok, member
		f(&e, &r)
		if err := e.check(&r); !errors.Is(err, ErrManager) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := key
	other.MasterSecret = []byte("secreT")
	if bytes.Equal(markOf(key), markOf(other)) || bytes.Contains(markOf(key), []byte("secret")) {
		t.Error("marks")
	}
	var list [][]byte
	for i := range 40 {
		list = remember(list, []byte{byte(i)})
	}
	if len(list) != maxSpent || !contains(list, []byte{39}) || contains(list, []byte{20}) {
		t.Errorf("%d remembered", len(list))
	}
}

func TestConfigFaults(t *testing.T) {
	err := (&Config{SequenceBlock: 1, HopLimit: 300, Timeout: -1}).Validate()
	for _, want := range []string{"enrolment", "store", "listen", "block", "hop limit", "negative"} {
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
	for k := EventJoined; k <= EventActive; k++ {
		if k.String() == "unknown" || k.String() == "" {
			t.Errorf("event %d has no name", k)
		}
	}
	if EventKind(0).String() != "unknown" || EventKind(99).String() != "unknown" {
		t.Error("names of no events")
	}
}

// FuzzRecords decodes what a store may hold. A record that decodes must encode
// to something that decodes to the same.
func FuzzRecords(f *testing.F) {
	for _, v := range []any{
		groupRecord{Name: "hall", Roles: 6, Node: "ace-group/hall/nodes/n1", Address: "239.192.7.1:5683", Nonce: []byte{1}, Spent: [][]byte{{1}}},
		peerRecord{SenderID: []byte{1}, Credential: []byte{0xa0}, Roles: 2},
		identityRecord{Private: []byte{1}, Credential: []byte{0xa0}},
		windowsRecord{Serial: 3, Windows: []byte{0x83}},
	} {
		b, err := encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{&groupRecord{}, &peerRecord{}, &identityRecord{}, &windowsRecord{}} {
			if decode(keystore.Key("group"), b, v) != nil {
				continue
			}
			once, err := encode(v)
			if err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			if err := decode(keystore.Key("group"), once, v); err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			if twice, err := encode(v); err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%T: %x, then %x, %v", v, once, twice, err)
			}
			if r, ok := v.(*groupRecord); ok {
				_, _, _ = r.Epoch.params()
				_ = fmt.Sprint(r.roles())
			}
		}
	})
}
