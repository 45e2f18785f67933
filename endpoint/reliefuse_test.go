package endpoint

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/netsim"
)

func TestReliefUse(t *testing.T) {
	run := func(t *testing.T, f func(t *testing.T, e *Endpoint)) {
		synctest.Test(t, func(t *testing.T) {
			e, err := New(Config{Network: netsim.New(netsim.Config{}), Unicast: netip.MustParseAddrPort("10.0.0.1:5683")})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			f(t, e)
		})
	}
	// next is what a call does that finds a socket used up.
	next := func(e *Endpoint, o *outlet) error {
		used := e.unicast[0]
		if o.relief != nil {
			used = o.relief
		}
		_, err := e.relief.enter(o, used)
		return err
	}
	t.Run("sockets that only wait for what comes late keep no place, and are bounded", func(t *testing.T) {
		run(t, func(t *testing.T, e *Endpoint) {
			o, n := &outlet{}, 0
			for next(e, o) == nil {
				n++
			}
			if n != maxOpenReliefs {
				t.Fatalf("%d sockets", n)
			}
			time.Sleep(reliefLinger + time.Second)
			synctest.Wait()
			if e.relief.ending != 0 || len(e.relief.open) != 1 {
				t.Fatalf("%d are left, %d ending", len(e.relief.open), e.relief.ending)
			}
			time.Sleep(e.cfg.exchangeLifetime()) // then ports may be used again
			if err := next(e, o); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("a call that finds all in use looks again", func(t *testing.T) {
		run(t, func(t *testing.T, e *Endpoint) {
			to := remote{addr: netip.MustParseAddrPort("10.0.0.2:9")}
			useUp := func(s *socket) {
				for {
					if _, wait := e.transmit.number(s, to, true, false); wait > 0 {
						return
					}
				}
			}
			useUp(e.unicast[0])
			slow := make([]*outlet, maxReliefs)
			var last *socket
			for i := range slow {
				slow[i] = &outlet{}
				used := last
				if used == nil {
					used = e.unicast[0]
				}
				var err error
				if last, err = e.relief.enter(slow[i], used); err != nil {
					t.Fatal(err)
				}
			}
			useUp(last)
			o := &outlet{}
			defer e.relief.leave(o)
			x := &exchange{to: to, sock: e.unicast[0]}
			began := time.Now()
			time.AfterFunc(5*time.Second, func() { e.relief.leave(slow[0]) })
			if _, err := e.number(t.Context(), &Request{To: to.addr, Code: codes.GET, outlet: o}, x); err != nil {
				t.Fatal(err)
			}
			e.nstart.leave(to)
			if waited := time.Since(began); waited < 5*time.Second || waited > 7*time.Second {
				t.Fatalf("waited %v", waited)
			}
		})
	})
}
