package coap

import (
	"context"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/oscore"
)

var _ manager.Observers = (*Sessions)(nil)

// Rekeyed implements manager.Observers: who observes the group gets the new keying
// material, and one that is no member any more a refusal, which ends its
// observation (RFC 9594, Sections 5 and 6.1).
func (s *Sessions) Rekeyed(group string) { s.notify(groupPath(group)) }

// ActiveChanged implements manager.Observers
// (draft-ietf-ace-key-groupcomm-oscore-21, Section 8.2.1).
func (s *Sessions) ActiveChanged(group string) { s.notify(groupPath(group) + "/active") }

// Deleted implements manager.Observers: who observes the group hears of its end
// (RFC 9594, Section 6.1).
func (s *Sessions) Deleted(group string) {
	s.end(groupPath(group), groupcomm.ErrorGroupDeleted)
}

// Ended implements manager.Observers: the device hears of it as observer of its
// node (RFC 9594, Section 5; draft-ietf-ace-key-groupcomm-oscore-21, Section 10).
func (s *Sessions) Ended(group, node string) {
	s.end(groupPath(group)+"/nodes/"+node, groupcomm.ErrorTerminated)
}

func groupPath(group string) string { return "/" + manager.RootPath + "/" + group }

func (s *Sessions) notify(path string) {
	if ep := s.ep.Load(); ep != nil {
		ep.Notify(path)
	}
}

// end answers the observers of a resource 4.04 with an error identifier, without an
// Observe option: it is the last that they hear.
func (s *Sessions) end(path string, id groupcomm.ErrorID) {
	ep := s.ep.Load()
	if ep == nil {
		return
	}
	last := endpoint.Notification{
		Code:        codes.NotFound,
		Options:     message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(ace.ContentFormatProblem))}},
		Payload:     groupcomm.Problem{ID: id}.Marshal(),
		Confirmable: true,
	}
	ep.NotifyFunc(path, func(endpoint.Peer) (endpoint.Notification, bool) { return last, true })
}

// lastWord is how long the last notifications under an association may take.
const lastWord = 30 * time.Second

// endObservations ends what a device observes under an association that is over,
// such as one whose token has expired, with 4.01 (RFC 9200, Section 5.10.3), or
// with what it waits to be told of the end of its membership.
func (s *Sessions) endObservations(ses *session) {
	ep := s.ep.Load()
	if ep == nil {
		return
	}
	its := func(p endpoint.Peer) bool { return p.Association == any(ses) }
	if ep.EndObservers(its, endpoint.Notification{Code: codes.Unauthorized, Confirmable: true}) > 0 {
		s.cfg.Clock.AfterFunc(lastWord, func() { ep.ForgetObservers(its) })
	}
}

// sequenceLow reserves sequence numbers for notifications, which take one each,
// and challenges, beside the worker that needs them next.
func (s *Sessions) sequenceLow(seq *oscore.Sequence) {
	ses := s.bySequence(seq)
	if ses == nil || !ses.reserving.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer ses.reserving.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), reserveTimeout)
		defer cancel()
		_ = ses.reserve(ctx) // who needs a number and has none reports it
	}()
}

// reserveTimeout bounds a reservation that nobody waits for.
const reserveTimeout = 10 * time.Second

func (s *Sessions) bySequence(seq *oscore.Sequence) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sequences[seq]
}
