package grouposcore

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestFailureBudget(t *testing.T) {
	gid, kid := []byte{1}, []byte{0x25}
	evil, good := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	spend := func(b *FailureBudget, n int, kid []byte, from netip.Addr, at time.Time) (allowed int) {
		for range n {
			if b.Allow(gid, kid, from, at) {
				allowed++
				b.Report(gid, kid, from, at, errSignature)
			}
		}
		return allowed
	}
	t.Run("failures of one sender are limited and come back with time", func(t *testing.T) {
		b := NewFailureBudget(0)
		if n := spend(b, 1000, kid, evil, noon); n != DefaultFailuresPerSecond {
			t.Fatalf("%d failures", n)
		}
		if n := spend(b, 1000, kid, evil, noon.Add(time.Second/2)); n != DefaultFailuresPerSecond/2 {
			t.Fatalf("%d failures after half a second", n)
		}
		if n := spend(b, 1000, kid, evil, noon.Add(time.Hour)); n != DefaultFailuresPerSecond {
			t.Fatalf("%d failures after an hour", n)
		}
	})
	t.Run("from any source", func(t *testing.T) {
		b := NewFailureBudget(5)
		spend(b, 5, kid, evil, noon)
		if b.Allow(gid, kid, good, noon) {
			t.Fatal("same sender from elsewhere")
		}
		if !b.Allow(gid, []byte{0x26}, good, noon) {
			t.Fatal("another sender from elsewhere")
		}
	})
	t.Run("failures of one source are limited over all senders", func(t *testing.T) {
		b := NewFailureBudget(5)
		for i := range byte(5) {
			spend(b, 1, []byte{i}, evil, noon)
		}
		if b.Allow(gid, []byte{99}, evil, noon) {
			t.Fatal("allowed")
		}
	})
	t.Run("a source that verified within the last minute is never limited", func(t *testing.T) {
		b := NewFailureBudget(5)
		b.Report(gid, kid, good, noon, nil)
		spend(b, 5, kid, evil, noon)
		if n := spend(b, 50, kid, good, noon.Add(59*time.Second)); n != 50 {
			t.Fatalf("%d allowed", n)
		}
		spend(b, 5, kid, evil, noon.Add(time.Minute))
		if b.Allow(gid, kid, good, noon.Add(time.Minute)) {
			t.Fatal("allowed after the minute")
		}
	})
	t.Run("a message that verified under an invalid window frees from the sender's limit, not from the source's", func(t *testing.T) {
		b := NewFailureBudget(5)
		b.Report(gid, kid, good, noon, ErrWindowInvalid)
		spend(b, 5, kid, evil, noon)
		if n := spend(b, 50, kid, good, noon); n != 5 {
			t.Fatalf("%d allowed", n)
		}
		b.Report(gid, kid, good, noon, nil) // the challenge was answered
		if n := spend(b, 50, kid, good, noon); n != 50 {
			t.Fatalf("%d allowed", n)
		}
	})
	t.Run("a client that has to show its freshness did verify", func(t *testing.T) {
		b := NewFailureBudget(1)
		b.Report(gid, kid, good, noon, ErrNotFresh)
		if n := spend(b, 9, kid, good, noon); n != 9 {
			t.Fatalf("%d allowed", n)
		}
	})
	t.Run("more sources that verified than are remembered: none is limited", func(t *testing.T) {
		b := NewFailureBudget(1)
		from := func(i uint32) netip.Addr { return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i))) }
		for i := range uint32(maxBuckets + 5) {
			b.Report(gid, kid, from(i), noon, nil)
		}
		for i := range uint32(maxBuckets + 5) {
			b.Report(gid, kid, evil, noon, errSignature)
			if !b.Allow(gid, kid, from(i), noon.Add(59*time.Second)) {
				t.Fatalf("source %d is limited", i)
			}
		}
		later := noon.Add(2 * time.Minute)
		for range 3 {
			b.Report(gid, kid, evil, later, errSignature)
		}
		if b.Allow(gid, kid, evil, later) {
			t.Fatal("nobody is limited any more")
		}
		b.Report(gid, kid, good, later, nil)
		if len(b.trusted) != 1 || !b.Allow(gid, kid, good, later) {
			t.Fatalf("%d sources remembered", len(b.trusted))
		}
	})
	t.Run("cheap errors do not count", func(t *testing.T) {
		b := NewFailureBudget(1)
		for _, err := range []error{ErrReplay, ErrMalformed, ErrNoCredential, ErrNoContext} {
			b.Report(gid, kid, evil, noon, err)
		}
		if !b.Allow(gid, kid, evil, noon) {
			t.Fatal("limited")
		}
	})
	t.Run("memory is bounded", func(t *testing.T) {
		b := NewFailureBudget(1)
		for i := range uint32(4 * maxBuckets) {
			id := binary.BigEndian.AppendUint32(nil, i)
			from := netip.AddrFrom4([4]byte(id))
			b.Report(gid, id, from, noon, errSignature)
			b.Report(gid, id, netip.AddrFrom4([4]byte{id[3], id[2], id[1], id[0]}), noon, nil)
		}
		if len(b.buckets) > maxBuckets+1 || len(b.trusted) > maxBuckets {
			t.Fatalf("%d buckets, %d trusted sources", len(b.buckets), len(b.trusted))
		}
	})
	for in, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"::ffff:192.0.2.7":     "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		t.Run("source of "+in, func(t *testing.T) {
			if got := Source(netip.MustParseAddr(in)).String(); got != want {
				t.Fatalf("%s, not %s", got, want)
			}
		})
	}
	t.Run("no address is one source", func(t *testing.T) {
		if Source(netip.Addr{}).IsValid() {
			t.Fatal("valid")
		}
	})
}
