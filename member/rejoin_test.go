package member_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/member"
)

func TestRejoinDropsCredentials(t *testing.T) {
	t.Run("GO-12.2-16 joining again after missed rekeyings drops every credential that is not given anew", func(t *testing.T) {
		simulate(t, func(t *testing.T, w *world) {
			sw, _ := w.hall(nil, "lamp-1", "lamp-2", "lamp-3")
			sw.answers("hall", "lamp-1", "lamp-2", "lamp-3")
			sw.stop()
			w.evict("hall", "lamp-3")
			time.Sleep(11 * time.Hour) // longer than the token lasts: its membership is over
			sw.open()
			sw.await(member.EventJoined, 2)
			g := sw.of("hall")
			if _, err := g.FindPeer("lamp-3"); !errors.Is(err, member.ErrUnknownPeer) {
				t.Errorf("the lamp evicted meanwhile: %v", err)
			}
			sw.answers("hall", "lamp-1", "lamp-2")
		})
	})
}
