package member_test

import (
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/member"
)

func TestLifeOfAGroup(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.newGroup("hall", nil)
		l1, l2, sw := w.device("lamp-1", responder), w.device("lamp-2", responder), w.device("switch", requester)
		l1.join("hall", responder)
		l2.join("hall", responder)
		g := sw.join("hall", requester)
		got := sw.answers("hall", "lamp-1", "lamp-2")
		for n, a := range got {
			if a.Mode != endpoint.GroupMode || string(a.Payload) != "off" || a.Version != w.version("hall") {
				t.Errorf("%s answered %+v", n, a)
			}
		}
		a, err := sw.set("hall", "lamp-1", "on")
		w.check(err)
		if a.Code != codes.Changed || a.Mode != endpoint.PairwiseMode || a.Sender.Name != "lamp-1" {
			t.Errorf("pairwise answer %+v", a)
		}
		if v, _ := l1.light.state(); v != "on" {
			t.Errorf("lamp-1 is %s", v)
		}
		if v, _ := l2.light.state(); v != "off" {
			t.Errorf("lamp-2 is %s", v)
		}
		w.check(g.Leave(t.Context()))
		if _, err := sw.Group("hall"); !errors.Is(err, member.ErrNotMember) {
			t.Errorf("after leaving: %v", err)
		}
		if !errors.Is(g.Err(), member.ErrLeft) {
			t.Errorf("group says %v", g.Err())
		}
		l1.await(member.EventRekeyed, 1)
		l2.await(member.EventRekeyed, 1)
	})
}
