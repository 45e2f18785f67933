package coap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/manager"
)

// errUnreachable says that a device has no association at the moment.
var errUnreachable = errors.New("no association with the device")

// errRefused says that the device answered, verified, and did not take the message.
var errRefused = errors.New("the device refused")

// Rekey implements manager.Delivery: POST to the member's control URI under its
// association (draft-ietf-ace-key-groupcomm-oscore-21, Section 11.1). Only a
// successful response that verified confirms.
func (s *Sessions) Rekey(ctx context.Context, m manager.MemberRef, payload []byte) (manager.Stage, error) {
	resp, err := s.do(ctx, m, codes.POST, payload)
	var clear *endpoint.UnprotectedError
	switch {
	case errors.Is(err, errUnreachable):
		return manager.StageWaiting, err
	case errors.As(err, &clear), errors.Is(err, endpoint.ErrNoResponse):
		return manager.StageAcked, err // somebody there took it; who, nothing shows
	case err != nil:
		return manager.StageSent, err
	case !coapmsg.IsSuccess(resp.Code):
		return manager.StageAcked, fmt.Errorf("%w: %s", errRefused, coapmsg.CodeString(resp.Code))
	}
	return manager.StageConfirmed, nil
}

// Evicted implements manager.Delivery: DELETE of the member's control URI
// (RFC 9594, Section 5). Any response that verified shows that the device knows;
// one that is gone already may answer 4.04.
func (s *Sessions) Evicted(ctx context.Context, m manager.MemberRef) error {
	_, err := s.do(ctx, m, codes.DELETE, nil)
	return err
}

func (s *Sessions) do(ctx context.Context, m manager.MemberRef, code codes.Code, payload []byte) (*endpoint.Response, error) {
	ses, ep := s.get(m.Association), s.ep.Load()
	if ses == nil || ep == nil {
		return nil, errUnreachable
	}
	r, err := request(m.ControlURI)
	if err != nil {
		return nil, err
	}
	if err := ses.reserve(ctx); err != nil {
		return nil, fmt.Errorf("sequence numbers: %w", err)
	}
	r.Code, r.Payload, r.Security = code, payload, endpoint.WithOSCORE(ses.ctx)
	if payload != nil {
		r.Options = message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(ace.ContentFormatGroupcomm))}}
	}
	return ep.Do(ctx, r)
}

// request turns a control URI, which the domain has checked and made absolute,
// into where and what to ask.
func request(uri string) (endpoint.Request, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return endpoint.Request{}, fmt.Errorf("control URI: %w", err)
	}
	to, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		return endpoint.Request{}, fmt.Errorf("control URI: %w", err)
	}
	r := endpoint.Request{To: to, Path: u.Path}
	if u.RawQuery != "" {
		for q := range strings.SplitSeq(u.RawQuery, "&") {
			if q, err = url.QueryUnescape(q); err != nil {
				return endpoint.Request{}, fmt.Errorf("control URI: %w", err)
			}
			r.Query = append(r.Query, q)
		}
	}
	return r, nil
}
