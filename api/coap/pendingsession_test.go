package coap

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// noStore is a store of sequence numbers that nobody asks.
type noStore struct{ reserved }

func (noStore) High(context.Context) (uint64, error) { return 0, nil }

// TestPendingSession shows what is left of a pending association: its timer, which
// holds token and nonces, goes with the first request that verifies.
func TestPendingSession(t *testing.T) {
	fake := clock.NewFake(time.Unix(1000, 0))
	s, err := NewSessions(SessionsConfig{Contexts: &endpoint.Contexts{}, Sequence: func(uint64) SequenceStore { return noStore{} }, Clock: fake})
	if err != nil {
		t.Fatal(err)
	}
	params := func(device bool) oscore.Params {
		p := oscore.Params{MasterSecret: secret.Bytes("0123456789abcdef"), SenderID: []byte{1}, RecipientID: []byte{2}}
		if device {
			p.SenderID, p.RecipientID = p.RecipientID, p.SenderID
		}
		return p
	}
	p := &ace.Pending{Params: params(false), Token: ace.Token{Expires: fake.Now().Add(time.Hour)}}
	if err := s.addPending(p, time.Minute, func() (uint64, uint64, []uint64, error) { return 7, 8, nil, nil }); err != nil {
		t.Fatal(err)
	}
	ses := s.pending[p]
	if ses == nil || ses.timer == nil {
		t.Fatal("nothing ends the pending association")
	}
	device, err := oscore.NewContext(params(true), oscore.NewEphemeralSequence())
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := device.ProtectRequest(message.Message{Code: codes.GET}, oscore.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	value, _ := coapmsg.FindOSCORE(m.Options)
	opt, err := coapmsg.ParseOSCOREOption(value)
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.OpenRequest(m, opt, netip.MustParseAddrPort("127.0.0.1:5683"), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.First(); err != nil { // the endpoint calls it before it serves the request
		t.Fatal(err)
	}
	if s.get(7) != ses || len(s.pending) != 0 {
		t.Fatal("not confirmed")
	}
	if ses.timer != nil {
		t.Fatal("the timer still holds the pending association")
	}
	fake.Advance(2 * time.Minute)
	if s.get(7) != ses {
		t.Fatal("a confirmed association ended with the time of pending ones")
	}
}
