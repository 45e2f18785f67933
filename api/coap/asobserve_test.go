package coap_test

import (
	"context"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

func TestObserveList(t *testing.T) {
	t.Parallel()
	t.Run("TR-QRY-13 those who observe the list are notified when their part of it changes, and the others are not", func(t *testing.T) {
		t.Parallel()
		a := newLoneAS(t)
		rs, device := a.world()
		other, err := a.svc.EnrolRS(t.Context(), authserver.RSRequest{Audience: "other", URI: "coap://127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		hash := ace.HashToken(a.tokenOf(a.peer(device.AS)).AccessToken)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		observe := func(e ace.EnrolmentAS) <-chan *trl.Response {
			p := a.peer(e)
			p.must(t, codes.Content, codes.GET, "/revoke/trl", nil) // derives the context
			out := make(chan *trl.Response, 8)
			go func() {
				defer close(out)
				for resp, err := range p.ep.Observe(ctx, endpoint.Request{To: p.to, Code: codes.GET, Path: "/revoke/trl", Security: p.guard}) {
					if err != nil {
						return
					}
					if r, err := trl.ParseResponse(resp.Payload); err == nil {
						out <- r
					}
				}
			}()
			return out
		}
		mine, others := observe(rs.AS), observe(other.AS)
		for _, c := range []<-chan *trl.Response{mine, others} {
			if r := <-c; r == nil || len(r.Full) != 0 {
				t.Fatalf("%+v", r)
			}
		}
		if err := a.svc.RevokeToken(t.Context(), hash, "test"); err != nil {
			t.Fatal(err)
		}
		if r := <-mine; r == nil || len(r.Full) != 1 || r.Full[0] != hash {
			t.Fatalf("%+v", r)
		}
		select {
		case r := <-others:
			t.Fatalf("notified of what does not concern it: %+v", r)
		case <-time.After(300 * time.Millisecond):
		}
	})
}

func TestObservationOfExpired(t *testing.T) {
	t.Parallel()
	t.Run("AC-103 a token that expires ends an observation, with 4.01", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.group("g1")
		d := s.ready("a", "g1", responder)
		d.join("g1", responder)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var got []codes.Code
		for resp, err := range d.ep.Observe(ctx, endpoint.Request{To: s.ep.LocalAddr(), Code: codes.GET, Path: "/ace-group/g1", Security: d.gmProt}) {
			if err != nil {
				break
			}
			if got = append(got, resp.Code); len(got) == 1 {
				s.clock.Advance(25 * time.Hour)
				s.ep.Notify("/ace-group/g1")
			}
		}
		if len(got) != 2 || got[0] != codes.Content || got[1] != codes.Unauthorized {
			t.Fatal(got)
		}
	})
	t.Run("AC-103 so does the sweep that ends its association, whatever is observed", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		s.group("g1")
		d := s.ready("a", "g1", responder)
		_, home := d.quietJoin("g1", responder)
		var all []*news
		for _, path := range []string{"/ace-group/g1", "/ace-group/g1/active", home} {
			all = append(all, d.observe(path))
		}
		s.clock.Advance(25 * time.Hour)
		for i, n := range all {
			want := codes.Unauthorized
			if i == 2 {
				want = codes.NotFound // the end of the membership is told by its own word
			}
			if last := n.next(); last.Code != want || last.Peer.Mode != endpoint.OSCORE {
				t.Fatalf("%d: %s %v", i, coapmsg.CodeString(last.Code), last.Peer)
			}
			n.ends()
		}
		if n := s.ep.Observers(); n != 0 {
			t.Fatalf("%d observers", n)
		}
	})
}
