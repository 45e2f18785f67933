package endpoint

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The memory behaves like a list of at most so many entries and bytes, of which
// the newest with a key counts.
func TestMemoryModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const entries, room = 70, 300
		m := newMemory(entries, room)
		type entry struct {
			key    uint64
			answer string
			until  time.Time
		}
		var model []entry
		now := time.Unix(0, 0)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "wait")) * time.Second)
			e := entry{rapid.Uint64Range(0, 120).Draw(t, "key"), string(make([]byte, rapid.IntRange(0, 8).Draw(t, "size"))), now.Add(100 * time.Second)}
			m.put(e.key, []byte(e.answer), e.until)
			model = append(model, e)
			for sum := 0; ; sum = 0 {
				for _, e := range model {
					sum += len(e.answer)
				}
				if len(model) <= entries && sum <= room {
					break
				}
				model = model[1:]
			}
			if m.len() != len(model) || len(m.index) > m.len() || len(m.list) > 2*entries+64 {
				t.Fatalf("%d entries, %d keys, %d slots; want %d", m.len(), len(m.index), len(m.list), len(model))
			}
			key := rapid.Uint64Range(0, 120).Draw(t, "look up")
			got, ok := m.get(key, now)
			want, wantOK := entry{}, false
			for _, e := range model {
				if e.key == key {
					want, wantOK = e, now.Before(e.until)
				}
			}
			if ok != wantOK || ok && string(got) != want.answer {
				t.Fatalf("key %d: %q %v, want %q %v", key, got, ok, want.answer, wantOK)
			}
		}
	})
}

func TestMemoryRefusesWhatIsLargerThanItsRoom(t *testing.T) {
	m := newMemory(10, 5)
	now := time.Unix(0, 0)
	m.put(1, []byte("12345"), now.Add(1))
	m.put(2, []byte("123456"), now.Add(1))
	if _, ok := m.get(2, now); ok || m.len() != 1 {
		t.Fatal("kept")
	}
}

func TestDedupKeys(t *testing.T) {
	d := newDedup(1, 1, 1, 1)
	a, b := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.1:2")
	z1, z2 := netip.MustParseAddrPort("[fe80::1%eth0]:1"), netip.MustParseAddrPort("[fe80::1%eth1]:1")
	s1, s2 := &socket{}, &socket{id: 1}
	key := func(d *dedup, from, to netip.AddrPort, s *socket, data string) uint64 {
		return d.key(&datagram{data: []byte(data), from: from, to: to, sock: s})
	}
	keys := map[uint64]bool{}
	for _, k := range []uint64{
		key(d, a, b, s1, "x"), key(d, b, a, s1, "x"), key(d, a, a, s1, "x"), key(d, a, b, s1, "y"),
		key(d, z1, a, s1, "x"), key(d, z2, a, s1, "x"), key(d, a, b, s2, "x"),
	} {
		keys[k] = true
	}
	if len(keys) != 7 || !keys[key(d, a, b, s1, "x")] {
		t.Fatal("keys do not tell requests apart")
	}
	if key(newDedup(1, 1, 1, 1), a, b, s1, "x") == key(d, a, b, s1, "x") {
		t.Fatal("keys can be foreseen")
	}
}

// Strangers cannot push verified requests out of the memory.
func TestDedupHasSeparateRoom(t *testing.T) {
	d := newDedup(80, 8000, time.Hour, time.Hour)
	now := time.Unix(0, 0)
	serve := func(key uint64, how kept) {
		f := &inflight{key: key, con: true}
		if other, _, _, served := d.begin(f, now); other != nil || served {
			t.Fatal("known")
		}
		d.end(f, how, []byte("answer"), now)
	}
	serve(1, keep)
	for k := uint64(100); k < 1000; k++ {
		serve(k, keepPlain)
		serve(k+10000, forget)
	}
	if _, answer, _, served := d.begin(&inflight{key: 1}, now); !served || string(answer) != "answer" {
		t.Fatal("pushed out")
	}
	if d.plain.len() != 10 || d.verified.len() != 1 || len(d.running) != 0 {
		t.Fatal(d.plain.len(), d.verified.len(), len(d.running))
	}
}

// Who sends without end does not push out what is remembered of others, and has
// the room of all who send nothing.
func TestFairMemory(t *testing.T) {
	const entries, room = 1000, 1 << 20
	f := newFairMemory(entries, room)
	now := time.Unix(0, 0)
	until := now.Add(time.Minute)
	for i := range uint64(10) {
		f.put(1+i*memoryParts, []byte("little"), until)
	}
	for i := range uint64(50000) {
		f.put(2+i*memoryParts, []byte("much"), until)
	}
	if f.n != entries || f.parts[2].len() != entries-10 {
		t.Fatalf("%d entries, %d of the one who sends much", f.n, f.parts[2].len())
	}
	for i := range uint64(2000) { // by bytes
		f.put(3+i*memoryParts, make([]byte, 4096), until)
	}
	if f.bytes > room || f.bytes < room/2 || f.parts[2].len() < entries/2 {
		t.Fatalf("%d bytes, %d entries left of another", f.bytes, f.parts[2].len())
	}
	for i := range uint64(10) {
		if _, ok := f.get(1+i*memoryParts, now); !ok {
			t.Fatal("what little was remembered is gone")
		}
	}
	if f.put(4, make([]byte, room+1), until); f.bytes > room {
		t.Fatal("more than the room")
	}
	bytes, n := 0, 0
	for i := range f.parts {
		bytes += f.parts[i].bytes
		n += f.parts[i].len()
	}
	if bytes != f.bytes || n != f.n {
		t.Fatalf("%d bytes in %d entries, counted %d and %d", bytes, n, f.bytes, f.n)
	}
}
