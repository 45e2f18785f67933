package ace

import (
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Refusal says why a Resource Server did not take a token. The list is closed, and each has one answer.
type Refusal uint8

// The refusals.
const (
	RefusedInternal     Refusal = iota // a fault of the Resource Server
	RefusedMalformed                   // no token, or the request lacks what the profile wants
	RefusedWrapper                     // by nobody who is trusted, or not of the shape its issuer's tokens have to have
	RefusedRevoked                     // its hash is on a list of revoked tokens
	RefusedClaims                      // claims that cannot be read or processed
	RefusedIssuer                      // iss names another issuer than the one who protected it
	RefusedExpired                     // exp is reached
	RefusedNotYet                      // nbf is not reached
	RefusedAudience                    // for somebody else
	RefusedScope                       // scope not understood
	RefusedCNonce                      // cnonce absent or not fresh
	RefusedExi                         // a token with exi that counts as expired
	RefusedProfile                     // for a profile that is not served
	RefusedConfirmation                // the key it is bound to cannot be used
	RefusedIdentifier                  // the Client's OSCORE identifier cannot be used
	RefusedBinding                     // bound to another association than the one it came by
	RefusedInactive                    // introspection says that it is not active
	RefusedUnreachable                 // introspection gave no answer
	RefusedBusy                        // no room for another association
	RefusedRate                        // too many tokens, or too many that need introspection, from there
	numRefusals
)

// codeTooManyRequests is 4.29 (RFC 8516).
const codeTooManyRequests codes.Code = 4<<5 | 29

var refusals = [numRefusals]struct {
	code codes.Code
	name string
}{
	RefusedInternal:     {codes.InternalServerError, "internal"},
	RefusedMalformed:    {codes.BadRequest, "malformed"},
	RefusedWrapper:      {codes.Unauthorized, "wrapper"},
	RefusedRevoked:      {codes.Unauthorized, "revoked"},
	RefusedClaims:       {codes.BadRequest, "claims"},
	RefusedIssuer:       {codes.Unauthorized, "issuer"},
	RefusedExpired:      {codes.Unauthorized, "expired"},
	RefusedNotYet:       {codes.Unauthorized, "not-yet-valid"},
	RefusedAudience:     {codes.Forbidden, "audience"},
	RefusedScope:        {codes.BadRequest, "scope"},
	RefusedCNonce:       {codes.Unauthorized, "cnonce"},
	RefusedExi:          {codes.Unauthorized, "exi"},
	RefusedProfile:      {codes.BadRequest, "profile"},
	RefusedConfirmation: {codes.BadRequest, "confirmation"},
	RefusedIdentifier:   {codes.BadRequest, "identifier"},
	RefusedBinding:      {codes.Unauthorized, "binding"},
	RefusedInactive:     {codes.Unauthorized, "inactive"},
	RefusedUnreachable:  {codes.ServiceUnavailable, "unreachable"},
	RefusedBusy:         {codes.ServiceUnavailable, "busy"},
	RefusedRate:         {codeTooManyRequests, "rate"},
}

// Refusals lists every refusal, for whoever makes metrics of them.
func Refusals() []Refusal {
	all := make([]Refusal, numRefusals)
	for i := range all {
		all[i] = Refusal(i)
	}
	return all
}

// Code returns the code of the answer to an unprotected post (RFC 9200, Section 5.10.1.1; RFC 9203, Section 4.2). Whatever is
// wrong with the token of a protected one is answered with 4.01.
func (r Refusal) Code() codes.Code {
	if r < numRefusals {
		return refusals[r].code
	}
	return codes.InternalServerError
}

// String returns a short name, fit for a metric label.
func (r Refusal) String() string {
	if r < numRefusals {
		return refusals[r].name
	}
	return "unknown"
}

// refuse makes the error whose code a Resource Server answers with.
func refuse(r Refusal, err error) *Error {
	return &Error{Code: r.Code(), Refusal: r, Description: err.Error(), Err: err}
}
