package coap_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
)

// news is what an observer hears, in order.
type news struct {
	t  *testing.T
	ch chan *endpoint.Response
}

// observe registers for a resource and takes the first representation.
func (d *thing) observe(path string) *news {
	d.t.Helper()
	n := &news{d.t, make(chan *endpoint.Response, 16)}
	ctx, cancel := context.WithCancel(context.Background())
	d.t.Cleanup(cancel)
	go func() {
		defer close(n.ch)
		for resp, err := range d.ep.Observe(ctx, endpoint.Request{To: d.s.ep.LocalAddr(), Code: codes.GET, Path: path, Security: d.gmProt}) {
			if err != nil {
				return
			}
			n.ch <- resp
		}
	}()
	if first := n.next(); first.Code != codes.Content {
		d.t.Fatalf("%s: %s", path, coapmsg.CodeString(first.Code))
	}
	return n
}

func (n *news) next() *endpoint.Response {
	n.t.Helper()
	select {
	case r, ok := <-n.ch:
		if !ok {
			n.t.Fatal("the observation ended")
		}
		return r
	case <-time.After(15 * time.Second):
		n.t.Fatal("no notification")
	}
	return nil
}

func (n *news) ends() {
	n.t.Helper()
	select {
	case r, ok := <-n.ch:
		if ok {
			n.t.Fatalf("one more: %s", coapmsg.CodeString(r.Code))
		}
	case <-time.After(15 * time.Second):
		n.t.Fatal("the observation goes on")
	}
}

func problem(t *testing.T, r *endpoint.Response) groupcomm.ErrorID {
	t.Helper()
	p, ok, err := groupcomm.ParseProblem(r.Payload)
	if err != nil || !ok || format(r.Options) != ace.ContentFormatProblem {
		t.Fatalf("%x: %v", r.Payload, err)
	}
	if coapmsg.Has(r.Options, message.Observe) {
		t.Fatal("an Observe option in the last notification")
	}
	return p.ID
}

// quietJoin joins without a control URI.
func (d *thing) quietJoin(group string, roles ace.Roles) (*groupcomm.JoinResponse, string) {
	d.t.Helper()
	d.control = new(string)
	return d.join(group, roles)
}

// TestObserve is three devices that give no control URI and observe instead.
func TestObserve(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.group("g1")
	ctx := context.Background()
	sw := s.ready("switch", "g1", requester)
	_, home := sw.quietJoin("g1", requester)
	lamp := s.ready("lamp", "g1", responder)
	jl, lampHome := lamp.quietJoin("g1", responder)
	group := sw.observe("/ace-group/g1")
	lampGroup := lamp.observe("/ace-group/g1")
	node := lamp.observe(lampHome)
	swNode := sw.observe(home)
	active := sw.observe("/ace-group/g1/active")

	t.Run("KG-REKEY-09,KO-RK-12 new keying material is a notification", func(t *testing.T) {
		if _, err := s.manager.Rekey(ctx, "g1", manager.CauseOperator); err != nil {
			t.Fatal(err)
		}
		k, err := groupcomm.ParseKeyResponse(group.next().Payload)
		if err != nil || k.Version != 1 || k.Key.SenderID != nil || bytes.Equal(k.Key.Gid, jl.Key.Gid) || k.StaleIDs == nil {
			t.Fatalf("%+v, %v", k, err)
		}
		lampGroup.next()
	})
	t.Run("a notification that left proves nothing of the member", func(t *testing.T) {
		p, err := s.manager.Pending(ctx, "g1")
		if err != nil || len(p) != 2 || p[0].Stage != manager.StageSent || p[0].Reachable {
			t.Fatalf("%+v, %v", p, err)
		}
	})
	t.Run("KO-RES-05 the state of the group is a notification", func(t *testing.T) {
		for _, on := range []bool{false, true} {
			if err := s.manager.SetActive(ctx, "g1", on); err != nil {
				t.Fatal(err)
			}
			if got, err := groupcomm.ParseActive(active.next().Payload); err != nil || got != on {
				t.Fatal(got, err)
			}
		}
	})
	t.Run("KG-NODE-05,KG-REM-06,KO-REM-02,KG-ERR-11 an evicted device hears of it as observer of its node", func(t *testing.T) {
		if _, err := s.manager.Evict(ctx, "g1", lampHome[len("/ace-group/g1/nodes/"):], manager.CauseEviction); err != nil {
			t.Fatal(err)
		}
		last := node.next()
		if last.Code != codes.NotFound || problem(t, last) != groupcomm.ErrorTerminated {
			t.Fatalf("%s %x", coapmsg.CodeString(last.Code), last.Payload)
		}
		node.ends()
	})
	t.Run("KG-REM-04 and hears no more of the group", func(t *testing.T) {
		if r := lampGroup.next(); r.Code != codes.Forbidden {
			t.Fatal(coapmsg.CodeString(r.Code))
		}
		lampGroup.ends()
		k, err := groupcomm.ParseKeyResponse(group.next().Payload)
		if err != nil || k.Version != 2 || len(k.StaleIDs) != 1 || !bytes.Equal(k.StaleIDs[0], jl.Key.SenderID) {
			t.Fatalf("%+v, %v", k, err)
		}
	})
	t.Run("exactly one of notification and DELETE", func(t *testing.T) {
		third := s.ready("third", "g1", responder)
		_, at := third.join("g1", responder)
		n := third.observe(at)
		if _, err := s.manager.Evict(ctx, "g1", at[len("/ace-group/g1/nodes/"):], manager.CauseEviction); err != nil {
			t.Fatal(err)
		}
		third.wait(1)
		group.next()
		select {
		case r := <-n.ch:
			t.Fatalf("a notification beside the DELETE: %+v", r)
		case <-time.After(200 * time.Millisecond):
		}
	})
	t.Run("KG-REKEY-10 the end of a group is a notification", func(t *testing.T) {
		if err := s.manager.SetActive(ctx, "g1", false); err != nil {
			t.Fatal(err)
		}
		if err := s.manager.DeleteGroup(ctx, "g1"); err != nil {
			t.Fatal(err)
		}
		last := group.next()
		if last.Code != codes.NotFound || problem(t, last) != groupcomm.ErrorGroupDeleted {
			t.Fatalf("%s %x", coapmsg.CodeString(last.Code), last.Payload)
		}
		group.ends()
		if r := swNode.next(); r.Code != codes.NotFound || problem(t, r) != groupcomm.ErrorTerminated {
			t.Fatal(coapmsg.CodeString(r.Code))
		}
	})
}
