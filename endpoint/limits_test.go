package endpoint_test

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestStrangersCostNothing(t *testing.T) {
	t.Run("O21,O11 requests from 10000 addresses leave no goroutine, no session and bounded memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: newResources(), DedupEntries: 800})
			attacker, err := n.Listen(clientAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer attacker.Close()
			flood := func(from, to int) {
				for i := from; i < to; i++ {
					addr := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
					c, err := n.Listen(netip.AddrPortFrom(addr, 1))
					if err != nil {
						t.Fatal(err)
					}
					b := get(t, con, int32(uint16(i)), "a")
					binary.BigEndian.PutUint16(b[4:], uint16(i))
					if err := c.WriteTo(b, serverAddr, netip.Addr{}, 0, 0); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					c.Close()
				}
			}
			flood(0, 3000)
			before := measure()
			flood(3000, 10000)
			after := measure()
			if after.goroutines > before.goroutines || after.heap > before.heap+1<<20 {
				t.Fatalf("%+v after %+v", after, before)
			}
		})
	})
}

type use struct {
	goroutines int
	heap       uint64
}

func measure() use {
	synctest.Wait()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return use{runtime.NumGoroutine(), m.HeapAlloc}
}

func TestSeparateResponsesAreBounded(t *testing.T) {
	// More separate responses to strangers than are retransmitted: the rest are sent once.
	inWorld(t, endpoint.Config{Workers: 12000, Queue: 5000, PerPeer: 12000}, func(t *testing.T, w *world) {
		for i := range int32(4200) {
			w.peer.send(serverAddr, get(t, con, i, "slow"))
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		tp := record(w.net, nil)
		time.Sleep(time.Second) // empty ACKs
		close(w.res.release)
		time.Sleep(1900 * time.Millisecond)
		first := len(tp.to(w.peer))
		time.Sleep(10 * time.Minute)
		all := len(tp.to(w.peer))
		if first != 2*4200 || all != first+4*2048 {
			t.Fatalf("%d datagrams, then %d", first, all-first)
		}
	})
}
