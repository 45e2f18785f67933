package authserver

import (
	"context"
	"errors"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// Introspect tells a resource server what is known of a token (RFC 9200, Section 5.9). Of a token that is not valid, not for that
// server, or unknown it learns only that it is not active. Who is no resource server gets an [*ace.Error] with 4.03 and nothing
// else; one that asks too often, with 4.29.
//
// The answer holds the key the token is bound to: it must leave by the association of the resource server only. Nothing is
// written: the claims are read from the token itself, whose bytes are not kept here.
func (s *Service) Introspect(_ context.Context, p Peer, q *ace.IntrospectionRequest) (*ace.IntrospectionResponse, error) {
	if p.Kind != PeerRS {
		return nil, &ace.Error{Code: codes.Forbidden, Description: "no resource server", Err: ErrDisabled}
	}
	if err := s.queryAllowed(p); err != nil {
		return nil, err
	}
	resp := &ace.IntrospectionResponse{}
	err := s.store.View(func(r keystore.Reader) error {
		if _, err := loadPeer(r, p); err != nil {
			return &ace.Error{Code: codes.Forbidden, Description: "no resource server", Err: err}
		}
		t, trusted, err := s.known(r, p, q.Token)
		if err != nil || t == nil {
			return err
		}
		claims, err := ace.OpenIssued(q.Token, trusted)
		if err != nil {
			return err
		}
		resp.Active, resp.Claims = true, claims
		if c, err := loadClient(r, t.Client); err == nil {
			resp.ClientID = c.Name
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.cfg.Meter.Introspected(resp.Active)
	return resp, nil
}

// known returns a valid token that is for a resource server, and what opens it; nil if there is none.
func (s *Service) known(r keystore.Reader, p Peer, token []byte) (*tokenRecord, []ace.TrustedAS, error) {
	t, err := s.tokenHashed(r, ace.HashToken(token))
	if errors.Is(err, ErrNotFound) {
		if t, err = s.tokenHashed(r, ace.HashTokenText(string(token))); errors.Is(err, ErrNotFound) {
			return nil, nil, nil
		}
	}
	if err != nil || t.Revoked != 0 || t.Expires <= s.now().Unix() {
		return nil, nil, err
	}
	rs, err := load[rsRecord](r, nameRS(t.RS))
	if err != nil || (rs.Number != p.Number && !slices.Contains(rs.Members, p.Number)) {
		return nil, nil, err
	}
	signing, err := s.trustedSigning(r)
	return t, append(s.trustedKeys(rs), signing...), err
}
