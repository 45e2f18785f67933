package coap

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

// authzInfo is /authz-info. In clear it takes a token and makes an association
// that is pending until the device's first request verifies (RFC 9203,
// Section 4.2; RFC 9594, Section 3.3). Under an association it takes a token
// that changes the rights of that association.
func (s *Server) authzInfo() mux.Handler {
	return endpoint.Methods{codes.POST: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		peer, _ := endpoint.PeerFrom(r.Context())
		body, ok := s.body(w, r, ace.ContentFormatACE)
		if !ok {
			return
		}
		if ses, ok := peer.Association.(*session); ok {
			s.updateRights(w, r, ses.caller(peer.Addr), body)
			return
		}
		if peer.Mode != endpoint.Plain {
			s.send(w, codes.Unauthorized, 0, nil)
			return
		}
		if !s.mayPost(w, peer.Addr.Addr()) {
			return
		}
		p, err := s.rs.PostToken(r.Context(), peer.Addr.Addr(), body)
		if err != nil {
			s.refuseToken(w, r, err)
			return
		}
		if err := s.sessions.addPending(p, pendingLife, func() (assoc, client uint64, superseded []uint64, err error) {
			return s.confirm(p)
		}); err != nil {
			s.refuseToken(w, r, err)
			return
		}
		s.send(w, codes.Created, ace.ContentFormatACE, p.Response)
	})}
}

// pendingLife is the longest time that a context of an unconfirmed association
// stays, should nobody else end it before: twice what the Resource Server gives it.
const pendingLife = time.Minute

// confirmTimeout bounds the wait for the store at the first request.
const confirmTimeout = 10 * time.Second

// confirm makes a pending association durable. It runs at the first request that
// verified under it, before that request is served.
func (s *Server) confirm(p *ace.Pending) (assoc, client uint64, superseded []uint64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	a, superseded, err := s.rs.Confirm(ctx, p)
	if errors.Is(err, ace.ErrNotPending) {
		s.sessions.DropPending(p)
		return 0, 0, nil, noContext(err)
	}
	if err != nil {
		return 0, 0, nil, err
	}
	client, err = s.manager.ClientOf(a.Number)
	return a.Number, client, superseded, err
}

// updateRights answers 2.01 without payload (RFC 9203, Section 4.2).
func (s *Server) updateRights(w mux.ResponseWriter, r *mux.Message, c manager.Caller, body []byte) {
	current, err := s.manager.Token(c)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	t, err := s.rs.Update(r.Context(), c.Addr.Addr(), c.Association, current, body)
	if err != nil {
		s.refuseToken(w, r, err)
		return
	}
	s.sessions.extend(c.Association, t.Expires)
	s.send(w, codes.Created, 0, nil)
}

// defaultPostLimits bounds what strangers can have checked: a decryption each.
func defaultPostLimits() ratelimit.Limits {
	return ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 50, Burst: 200}, Total: ratelimit.Rate{PerSecond: 2000, Burst: 4000}}
}

// mayPost reports whether a post in clear is looked at. If too many came it
// answers 4.29 (RFC 8516; RFC 9200, Section 5.10.1.2), which is shorter than the
// request.
func (s *Server) mayPost(w mux.ResponseWriter, from netip.Addr) bool {
	retry, ok := s.posts.Allow(ratelimit.Source(from))
	if ok {
		return true
	}
	if s.meter != nil {
		s.meter.TokenRefused(ace.RefusedRate)
	}
	s.sample(from, ace.RefusedRate, errTooManyPosts)
	s.send(w, ace.RefusedRate.Code(), 0, nil, maxAge(retry)...)
	return false
}

var errTooManyPosts = errors.New("too many tokens were posted")

// refusalSample is how often a kind of refusal of strangers is logged.
const refusalSample = 10 * time.Second

// sample logs refusals of strangers: one of each kind in an interval, with the
// number of those that were not logged.
func (s *Server) sample(from netip.Addr, why ace.Refusal, err error) {
	if n, ok := s.refused.Tell(why); ok {
		s.log.Info("access token refused", "from", from, "why", why, "error", err, "not_logged", n)
	}
}

// busyRetry is when a post is worth repeating that found no room, or no answer of
// an Authorization Server.
const busyRetry = 10 * time.Second

// refuseToken answers with the code alone: a stranger learns nothing of what was
// wrong with a token.
func (s *Server) refuseToken(w mux.ResponseWriter, r *mux.Message, err error) {
	code := codes.InternalServerError
	var retry time.Duration
	var e *ace.Error
	if errors.As(err, &e) {
		code, retry = e.Code, e.RetryAfter
	}
	if code == codes.ServiceUnavailable && retry == 0 {
		retry = busyRetry
	}
	peer, _ := endpoint.PeerFrom(r.Context())
	if peer.Mode == endpoint.Plain && e != nil {
		s.sample(peer.Addr.Addr(), e.Refusal, err)
	} else {
		s.log.InfoContext(r.Context(), "access token refused", "code", code, "error", err)
	}
	s.send(w, code, 0, nil, maxAge(retry)...)
}

// describe adds to the answer of authz-info what the client asked for about the
// groups of its token (RFC 9594, Section 3.3;
// draft-ietf-ace-key-groupcomm-oscore-21, Section 5.3).
func (s *Server) describe(ctx context.Context, t *ace.Token, q *ace.AuthzInfoRequest, p *ace.AuthzInfoResponse) error {
	if !q.WantSignInfo && !q.WantECDHInfo && !q.WantKDCDHCreds {
		return nil
	}
	var names []string
	for _, e := range t.Scope.Users() {
		names = append(names, e.Group)
	}
	info, err := s.manager.GroupInfos(ctx, names)
	if err != nil {
		return err
	}
	if q.WantSignInfo {
		p.SignInfo = groupcomm.MarshalSignInfo(info.Sign)
	}
	if q.WantECDHInfo {
		p.ECDHInfo = groupcomm.MarshalECDHInfo(info.ECDH)
	}
	if q.WantKDCDHCreds {
		p.KDCDHCreds = groupcomm.MarshalKDCDHCred(info.KDCDH)
	}
	return nil
}
