package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
)

// Tokens is the domain's side of /v1/tokens. [AuthServer] implements it.
type Tokens interface {
	ListTokens(ctx context.Context) ([]Token, error)
	InspectToken(ctx context.Context, token []byte) (TokenInspection, error)
	RevokeToken(ctx context.Context, hash string) error
}

// Token is a token as an operator sees it; its bytes are not kept.
type Token struct {
	Hash    string            `json:"hash"` // names it, without giving it away
	Client  string            `json:"client"`
	Groups  map[string]string `json:"groups"` // group name to roles
	For     string            `json:"audience"`
	Issued  time.Time         `json:"issued"`
	Expires time.Time         `json:"expires"`
	Revoked bool              `json:"revoked"`
}

// TokenInspection is what can be said of the bytes of a token.
type TokenInspection struct {
	Hash     string            `json:"hash"`
	Shape    string            `json:"shape"`
	Alg      string            `json:"algorithm,omitempty"`
	Issuer   string            `json:"issuer,omitempty"` // empty: nobody's key opens it
	Audience string            `json:"audience,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Groups   map[string]string `json:"groups,omitempty"`
	Issued   time.Time         `json:"issued,omitzero"`
	Expires  time.Time         `json:"expires,omitzero"` // zero: it does not say
	Lives    string            `json:"lives,omitempty"`  // how long from its first use, if it says so
	Bound    string            `json:"bound,omitempty"`  // kind of key it is bound to
	Taken    bool              `json:"taken"`            // whether it would be taken now
	Refusal  string            `json:"refusal,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Known    *Token            `json:"known,omitempty"` // as it was issued here
}

// tokenBytes is the request to look into a token.
type tokenBytes struct {
	Token []byte `json:"token"` // base64
}

func (s *server) listTokens(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Tokens.ListTokens(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []Token{}
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *server) inspectToken(w http.ResponseWriter, r *http.Request) error {
	var q tokenBytes
	if err := readJSON(w, r, &q); err != nil {
		return err
	}
	var v TokenInspection
	if s.Tokens != nil {
		var err error
		if v, err = s.Tokens.InspectToken(r.Context(), q.Token); err != nil && (s.Inspect == nil || !errors.Is(err, authserver.ErrNotFound)) {
			return err
		}
	}
	if s.Inspect != nil {
		// The Group Manager here knows what it would make of it. It is not asked about
		// what only the Authorization Server opens: tokens for others.
		if here := InspectionOf(s.Inspect(q.Token)); here.Issuer != "" || v.Issuer == "" {
			here.Known = v.Known
			v = here
		}
	}
	return writeJSON(w, http.StatusOK, v)
}

func (s *server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	if err := noBody(r); err != nil {
		return err
	}
	if err := s.Tokens.RevokeToken(r.Context(), r.PathValue("hash")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// TokenRegistry is what the Authorization Server knows of tokens.
// *authserver.Service implements it.
type TokenRegistry interface {
	Tokens(after ace.TokenHash, limit int) ([]authserver.Token, error)
	Inspect(token []byte) (*authserver.Inspection, error)
	RevokeToken(ctx context.Context, h ace.TokenHash, cause string) error
}

// tokenPage is how many tokens are read at once, and tokenMax how many are shown.
const (
	tokenPage = 500
	tokenMax  = 20000
)

// ListTokens implements [Tokens]: the oldest first.
func (a AuthServer) ListTokens(ctx context.Context) ([]Token, error) {
	var out []Token
	for after := (ace.TokenHash{}); len(out) < tokenMax; {
		page, err := a.TokenRegistry.Tokens(after, tokenPage)
		if err != nil {
			return nil, err
		}
		for i := range page {
			out = append(out, tokenOf(&page[i]))
			after = page[i].Hash
		}
		if len(page) < tokenPage {
			break
		}
	}
	return out, ctx.Err()
}

// InspectToken implements [Tokens].
func (a AuthServer) InspectToken(_ context.Context, token []byte) (TokenInspection, error) {
	i, err := a.TokenRegistry.Inspect(token)
	if err != nil {
		return TokenInspection{}, err
	}
	v := InspectionOf(i.Inspection)
	if v.Audience == "" {
		v.Audience = i.Audience
	}
	if i.Token != nil {
		t := tokenOf(i.Token)
		v.Known = &t
	}
	return v, nil
}

// RevokeToken implements [Tokens].
func (a AuthServer) RevokeToken(ctx context.Context, hash string) error {
	h, err := ace.ParseTokenHash(hash)
	if err != nil {
		return problem(http.StatusBadRequest, "malformed", err.Error(), "token list shows the hashes")
	}
	return a.TokenRegistry.RevokeToken(ctx, h, causeRevoke)
}

func tokenOf(t *authserver.Token) Token {
	return Token{
		Hash: t.Hash.String(), Client: t.Client, For: t.Audience, Groups: scopeGroups(t.Scope),
		Issued: t.Issued, Expires: t.Expires, Revoked: !t.Revoked.IsZero(),
	}
}

func scopeGroups(s ace.Scope) map[string]string {
	out := map[string]string{}
	for _, e := range s.Users() {
		out[e.Group] = e.Roles.String()
	}
	return out
}

// InspectionOf is an inspection as an operator sees it.
func InspectionOf(i *ace.Inspection) TokenInspection {
	v := TokenInspection{
		Hash: i.Hash.String(), Shape: i.Shape, Alg: i.Alg, Issuer: i.Issuer, Bound: i.Bound,
		Taken: i.Refusal == nil, Warnings: i.Warnings,
	}
	if i.Refusal != nil {
		v.Refusal = i.Refusal.Description
		if v.Refusal == "" {
			v.Refusal = i.Refusal.Refusal.String()
		}
		v.Refusal += fmt.Sprintf(" (answered %d.%02d)", i.Refusal.Code>>5, i.Refusal.Code&0x1f)
	}
	if c := i.Claims; c != nil {
		v.Issued, v.Expires = c.IssuedAt, c.Expires
		if c.Exi != 0 {
			v.Lives = (time.Duration(c.Exi) * time.Second).String()
		}
		v.Subject, v.Groups, v.Audience = c.Subject, scopeGroups(c.Scope), strings.Join(c.Audience, " ")
	}
	return v
}
