package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestManyPeers(t *testing.T) {
	t.Run("O9 one peer with slow requests does not keep others from being served", func(t *testing.T) {
		inWorld(t, endpoint.Config{Workers: 12, PerPeer: 4, Queue: 20}, func(t *testing.T, w *world) {
			for i := range int32(40) {
				w.peer.send(serverAddr, get(t, non, i, "slow"))
				synctest.Wait()
			}
			w.dropped(endpoint.DropPeerBusy, 16) // four in work, twenty wait
			other := listenRaw(t, w.net, otherAddr)
			other.send(serverAddr, get(t, con, 1, "a"))
			if m := other.nextMessage(time.Millisecond); m.Code != codes.Content {
				t.Fatal(m.Code)
			}
			w.dropped(endpoint.DropPeerBusy, 17) // for whom there was room made
			close(w.res.release)
			synctest.Wait()
			if n := w.res.runs.Load(); n != 24 {
				t.Fatal(n)
			}
		})
	})
	t.Run("O9 unprotected requests from many addresses leave workers to protected ones", func(t *testing.T) {
		inWorld(t, endpoint.Config{Workers: 8, Queue: 100}, func(t *testing.T, w *world) {
			for i := range 200 {
				stranger := listenRaw(t, w.net, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 1))
				stranger.send(serverAddr, get(t, non, int32(i), "slow"))
				synctest.Wait()
			}
			synctest.Wait()
			if n := w.res.runs.Load(); n != 6 {
				t.Fatalf("%d unprotected requests in work", n)
			}
			w.peer.send(serverAddr, w.protected(con, 1, "a"))
			if m := w.opened(w.peer.nextMessage(time.Millisecond)); m.Code != codes.Content {
				t.Fatal(m.Code)
			}
			w.dropped(endpoint.DropQueueFull, 94)
			close(w.res.release)
		})
	})
	t.Run("O9 peers with slow requests leave a worker to who has none in work", func(t *testing.T) {
		inWorld(t, endpoint.Config{Workers: 16}, func(t *testing.T, w *world) {
			for i := range 6 {
				slow := listenRaw(t, w.net, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 1))
				for range 30 {
					slow.send(serverAddr, w.protected(non, int32(i), "slow"))
					synctest.Wait()
				}
			}
			if n := w.res.runs.Load(); n != 14 {
				t.Fatalf("%d in work", n)
			}
			w.peer.send(serverAddr, w.protected(con, 1, "a"))
			if m := w.opened(w.peer.nextMessage(time.Millisecond)); m.Code != codes.Content {
				t.Fatal(m.Code)
			}
			close(w.res.release)
			synctest.Wait()
			if n := w.res.runs.Load(); n != 181 {
				t.Fatalf("%d served", n)
			}
		})
	})
	t.Run("O9 with all workers busy and the queue full the read loop goes on", func(t *testing.T) {
		inWorld(t, endpoint.Config{Workers: 2, Queue: 3, PerPeer: 100}, func(t *testing.T, w *world) {
			for i := range int32(2) {
				slow := listenRaw(t, w.net, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), 1))
				slow.send(serverAddr, w.protected(non, i, "slow"))
			}
			synctest.Wait()
			for i := range int32(10) {
				w.peer.send(serverAddr, w.protected(non, 10+i, "slow"))
			}
			w.dropped(endpoint.DropQueueFull, 7)
			w.peer.send(serverAddr, []byte{0x40, 0, 1, 2})
			if b := w.peer.next(time.Millisecond); b == nil {
				t.Fatal("ping not answered")
			}
			close(w.res.release)
			synctest.Wait()
			if w.res.runs.Load() != 5 {
				t.Fatal(w.res.runs.Load())
			}
		})
	})
	t.Run("Close ends the context of running handlers and waits for them", func(t *testing.T) {
		inWorld(t, endpoint.Config{}, func(t *testing.T, w *world) {
			w.peer.send(serverAddr, get(t, con, 1, "slow"))
			synctest.Wait()
			if err := w.server.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := w.server.Do(context.Background(), endpoint.Request{To: clientAddr, Code: codes.GET}); !errors.Is(err, endpoint.ErrClosed) {
				t.Fatal(err)
			}
			if err := w.server.JoinGroup(endpoint.MulticastGroup{Addr: groupAddr}); !errors.Is(err, endpoint.ErrClosed) {
				t.Fatal(err)
			}
		})
	})
}

func TestTokens(t *testing.T) {
	t.Run("GC-3.1.5-1,GC-3.1.5-3,GC-3.1.5-4 tokens are long, random and not used again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := netsim.New(netsim.Config{})
			server := listenRaw(t, n, serverAddr)
			client := start(t, endpoint.Config{Network: n, Unicast: clientAddr, NSTART: 100})
			seen := map[string]bool{}
			for i := range 50 {
				go client.Do(t.Context(), endpoint.Request{To: serverAddr, Code: codes.GET, Path: fmt.Sprint(i)})
				m := server.nextMessage(time.Second)
				if len(m.Token) != 8 || seen[string(m.Token)] {
					t.Fatalf("token %x", m.Token)
				}
				seen[string(m.Token)] = true
			}
			client.Close()
			synctest.Wait()
		})
	})
}
