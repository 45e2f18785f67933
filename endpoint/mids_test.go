package endpoint

import (
	"hash/maphash"
	"net/netip"
	"testing"
	"time"
)

func TestMessageIDs(t *testing.T) {
	seed := maphash.MakeSeed()
	peer := func(i int) remote {
		return remote{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5683)}
	}
	const life = 247 * time.Second

	t.Run("none is used again towards a peer before its lifetime is over, however fast they are taken", func(t *testing.T) {
		for _, group := range []bool{false, true} {
			var m messageIDs
			last := map[uint16]time.Duration{}
			now, taken, waits := time.Duration(0), 0, 0
			for now < 2000*time.Second {
				mid, wait := m.take(midHash(seed, peer(1)), group, now, now+life, false)
				if wait > 0 {
					now += wait
					waits++
					continue
				}
				if at, used := last[mid]; used && now-at < life {
					t.Fatalf("%d used again after %v", mid, now-at)
				}
				if in := mid >= midsOfPeers && mid < midsOfPeers+midsOfGroups; in != group || mid >= midAnswers {
					t.Fatalf("%#x is out of the range", mid)
				}
				last[mid] = now
				taken++
				now += time.Millisecond
			}
			size := midsOfPeers
			if group {
				size = midsOfGroups
			}
			if rounds := 2000*time.Second/life + 1; taken > size*int(rounds) || taken < (size-midSegment)*int(rounds-1) || waits == 0 {
				t.Fatalf("%d taken of %d in a lifetime", taken, size)
			}
		}
	})
	t.Run("at a hundred in a second nobody waits", func(t *testing.T) {
		var m messageIDs
		for i := range 200000 {
			now := time.Duration(i) * 10 * time.Millisecond
			if _, wait := m.take(midHash(seed, peer(1)), false, now, now+life, false); wait > 0 {
				t.Fatalf("wait %v after %d", wait, i)
			}
		}
	})
	t.Run("each peer has a sequence of its own, from a random start, and there are no more than 65536", func(t *testing.T) {
		var m messageIDs
		starts := map[uint16]int{}
		for i := range 1000 {
			a, _ := m.take(midHash(seed, peer(i)), false, 0, life, false)
			starts[a]++
		}
		if len(starts) < 900 {
			t.Fatalf("%d different starts", len(starts))
		}
		a, _ := m.take(midHash(seed, peer(1)), false, 0, life, false)
		for i := 2; i < 200000; i++ {
			to := remote{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 1)}
			m.take(midHash(seed, to), false, 0, life, false)
		}
		b, _ := m.take(midHash(seed, peer(1)), false, 0, life, false)
		if d := b - a; d == 0 || d > 30 { // others share it by chance
			t.Fatalf("%#x after %#x", b, a)
		}
		if n := len(m.peers); n > 1<<16 {
			t.Fatal(n)
		}
	})
	t.Run("who can go elsewhere leaves some to who cannot", func(t *testing.T) {
		var m messageIDs
		n, hash := 0, midHash(seed, peer(1))
		for {
			if _, wait := m.take(hash, false, 0, life, true); wait > 0 {
				break
			}
			n++
		}
		if n > midsOfPeers-midSegment {
			t.Fatalf("%d taken", n)
		}
		for i := range midSegment {
			if _, wait := m.take(hash, false, 0, life, false); wait > 0 {
				t.Fatalf("nothing left after %d", i)
			}
		}
	})
	t.Run("responses have the Message IDs of their range, each one of its own as long as the requests have", func(t *testing.T) {
		seen := map[uint16]bool{}
		h := midHash(seed, peer(1))
		for mid := range uint16(midAnswers) {
			a := answerMID(h, mid)
			if a < midAnswers || seen[a] {
				t.Fatalf("%#x for %#x", a, mid)
			}
			seen[a] = true
			if b := answerMID(h, mid|midAnswers); b == mid|midAnswers {
				t.Fatalf("the Message ID of the request, %#x", b)
			}
		}
	})
}

func TestNumberSkipsWhatIsWatched(t *testing.T) {
	e, _ := bareNetless(t)
	s, to := e.unicast[0], remote{addr: netip.MustParseAddrPort("10.0.0.2:9")}
	key, _ := e.transmit.number(s, to, true, false)
	next := key
	next.mid++
	e.transmit.pending[next] = &transmission{key: next}
	if got, _ := e.transmit.number(s, to, true, false); got.mid != key.mid+2 {
		t.Fatalf("%#x after %#x", got.mid, key.mid)
	}
	a := e.transmit.answerTo(s, to, 7)
	e.transmit.pending[a] = &transmission{key: a}
	if b := e.transmit.answerTo(s, to, 7); b.mid == a.mid || b.mid < midAnswers {
		t.Fatalf("%#x twice", a.mid)
	}
	e.transmit.pending = map[transmissionKey]*transmission{}
}

// A Reset for the Message ID of one socket settles nothing of another.
func TestResetBelongsToASocket(t *testing.T) {
	e, s := bareNetless(t)
	other := &socket{Transport: s, local: s.addr}
	to := remote{addr: netip.MustParseAddrPort("10.0.0.2:9")}
	key, _ := e.transmit.number(e.unicast[0], to, true, false)
	var got []outcome
	e.transmit.start(&transmission{key: key, data: []byte{1}, sock: e.unicast[0], done: func(o outcome) { got = append(got, o) }}, false)
	rst := datagram{data: []byte{0x70, 0, byte(key.mid >> 8), byte(key.mid)}, from: to.addr, to: s.addr, sock: other}
	if e.receive(rst); len(got) != 0 {
		t.Fatal("settled by another socket's Reset")
	}
	rst.sock = e.unicast[0]
	if e.receive(rst); len(got) != 1 || got[0] != rejected {
		t.Fatal(got)
	}
}

// bareNetless is an endpoint without network and workers.
func bareNetless(t *testing.T) (*Endpoint, *sink) {
	t.Helper()
	s := &sink{addr: netip.MustParseAddrPort("10.0.0.1:5683")}
	e, err := prepare(Config{Unicast: s.addr}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	e.unicast = []*socket{{Transport: s, local: s.addr}}
	t.Cleanup(func() { e.Close() })
	return e, s
}
