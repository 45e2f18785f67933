package authserver

import (
	"errors"
	"fmt"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// Inspection is what this server can say of a token.
type Inspection struct {
	*ace.Inspection        // as the resource server of Audience would judge it
	Audience        string // whose keys open it; empty if those of none do
	Token           *Token // as it was issued; nil if it is not known, or swept away
}

// Inspect looks at what somebody presented as a token: by whose keys it opens, what it says, and why its resource server would
// refuse it. Secrets in it do not print.
func (s *Service) Inspect(info []byte) (*Inspection, error) {
	var all []*rsRecord
	var signing []ace.TrustedAS
	err := s.store.View(func(r keystore.Reader) (err error) {
		if signing, err = s.trustedSigning(r); err != nil {
			return err
		}
		return r.Scan(nameAllRS(), func(n keystore.Name, b []byte) error {
			rs, err := decode[rsRecord](n, b)
			all = append(all, rs)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	var best *Inspection
	for _, rs := range all {
		v, err := ace.InspectToken(ace.RSConfig{
			Audience: rs.Audience, Issuers: append(s.trustedKeys(rs), signing...), Clock: s.cfg.Clock, Rand: s.cfg.Rand, Revoked: s.TokenRevoked,
		}, info)
		if err != nil {
			return nil, err
		}
		if best == nil || better(v, best.Inspection) {
			best = &Inspection{Inspection: v, Audience: rs.Audience}
		}
	}
	if best == nil {
		return nil, fmt.Errorf("no resource server is registered: %w", ErrNotFound)
	}
	if best.Issuer == "" {
		best.Audience = ""
	}
	switch t, err := s.Token(best.Hash); {
	case err == nil:
		best.Token = &t
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	return best, nil
}

// better says whether v is closer to being taken than w.
func better(v, w *ace.Inspection) bool {
	rank := func(i *ace.Inspection) int {
		switch {
		case i.Refusal == nil:
			return 3
		case i.Issuer != "" && i.Refusal.Refusal != ace.RefusedAudience:
			return 2
		case i.Issuer != "":
			return 1
		}
		return 0
	}
	return rank(v) > rank(w)
}
