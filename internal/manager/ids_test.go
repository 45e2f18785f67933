package manager

import (
	"bytes"
	"math"
	"net/netip"
	"testing"

	"github.com/cohort-iot/cohort/ace"
)

func TestIdentifiers(t *testing.T) {
	t.Parallel()
	seen := map[string]uint64{}
	for _, n := range []uint64{0, 1, 0xff, 0x100, 0xffff, 0x10000, 1<<24 - 1, 1 << 24, 1<<56 - 1} {
		id := senderIDBytes(n)
		if other, dup := seen[string(id)]; dup {
			t.Errorf("%d and %d have Sender ID %x", n, other, id)
		}
		seen[string(id)] = n
		if got, ok := senderIDNumber(id); !ok || got != n {
			t.Errorf("%d: %x gives %d", n, id, got)
		}
		gid := gidBytes([]byte{0xb1}, n)
		if got, ok := gidNumber([]byte{0xb1}, gid); !ok || got != n || len(gid) < 3 {
			t.Errorf("%d: %x gives %d", n, gid, got)
		}
		if got, ok := nodeNumber(nodeName(n)); !ok || got != n || ace.CheckGroupName(nodeName(n)) != nil {
			t.Errorf("%d: %s gives %d", n, nodeName(n), got)
		}
	}
	if got, ok := nodeNumber(nodeName(math.MaxUint64)); !ok || got != math.MaxUint64 {
		t.Error("largest node number")
	}
	for _, id := range [][]byte{nil, {0, 1}, bytes.Repeat([]byte{1}, 8)} {
		if _, ok := senderIDNumber(id); ok {
			t.Errorf("%x is a Sender ID", id)
		}
	}
	for _, gid := range [][]byte{nil, {1}, {0xb1, 1}, {0xb2, 1, 2}, {0xb1, 0, 1, 2}, bytes.Repeat([]byte{0xb1}, 10)} {
		if _, ok := gidNumber([]byte{0xb1}, gid); ok {
			t.Errorf("%x is a Gid", gid)
		}
	}
	for _, name := range []string{"", "n", "x04", "n0", "nl1", "N04", "n0123456789abcdef", "n0400000"} {
		if n, ok := nodeNumber(name); ok && nodeName(n) != name {
			t.Errorf("%q is a node name", name)
		}
	}
}

func FuzzIdentifiers(f *testing.F) {
	f.Add([]byte{1}, "n04")
	f.Add([]byte{0xb1, 0, 1}, "n")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if n, ok := senderIDNumber(b); ok && !bytes.Equal(senderIDBytes(n), b) {
			t.Errorf("%x", b)
		}
		if n, ok := gidNumber(nil, b); ok && !bytes.Equal(gidBytes(nil, n), b) {
			t.Errorf("%x", b)
		}
		if n, ok := nodeNumber(name); ok && nodeName(n) != name {
			t.Errorf("%q", name)
		}
	})
}

func FuzzControlURI(f *testing.F) {
	from := netip.MustParseAddrPort("127.0.0.2:5683")
	for _, s := range []string{"coap://127.0.0.2/rekey", "/x", "coap:///x?y=z", "coap://[::1]:1/x", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		out, err := controlURI(uri, "g1", from, nil)
		if err != nil || out == "" {
			return
		}
		again, err := controlURI(out, "g1", from, nil)
		if err != nil || again != out {
			t.Errorf("%q gives %q, then %q, %v", uri, out, again, err)
		}
	})
}

func FuzzRecords(f *testing.F) {
	for _, v := range []any{
		&head{Schema: 1, Name: "g1", Gid: []byte{0, 1}, Secret: make([]byte, 32)}, &member{Schema: 1, Group: 1, Number: 1},
		&client{Schema: 1, Tokens: []tokenEntry{{ID: 1}}}, &association{Schema: 1}, &counters{Schema: 1}, &notice{Schema: 1}, &managerKey{Schema: 1},
	} {
		b, err := encodeRecord(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := nameManager()
		if h, err := decode[head](n, b); err == nil {
			_, _ = h.info(), h.expiry(start)
		}
		if m, err := decode[member](n, b); err == nil {
			_ = m.senderID()
		}
		if c, err := decode[client](n, b); err == nil {
			_, _ = c.label(), c.covering("g1", responder, start, 0)
		}
		_, _ = decode[association](n, b)
		_, _ = decode[counters](n, b)
		_, _ = decode[notice](n, b)
		if k, err := decode[managerKey](n, b); err == nil {
			_, _ = k.decode()
		}
	})
}
