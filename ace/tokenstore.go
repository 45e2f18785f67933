package ace

import (
	"context"
	"time"

	"github.com/cohort-iot/cohort/oscore"
)

// Token is an access token as a Resource Server keeps it: verified, and without the bytes it came in.
type Token struct {
	ID        uint64    // number the store gave it; 0 before it is stored
	Hash      TokenHash // names it on revocation lists
	Issuer    string
	Client    string // claim sub: the Client as the issuer names it; empty if the issuer does not say
	Scope     Scope
	Expires   time.Time
	IssuedAt  time.Time           // zero if the token does not say
	CTI       []byte              // claim cti; nil if absent
	Material  OSCOREInputMaterial // of a token that updates rights: only its ID
	Challenge []byte              // N_S, the latest kdcchallenge given for it; nil if no role needs one
}

// Association is an OSCORE Security Context with a Client together with the token it came from (RFC 9203, Section 4.3).
// Its Params have to be kept as long as it is: they and the highest sequence number used are what survives a restart.
type Association struct {
	Number uint64 // the store gave it; 0 before it is stored
	Token  Token
	Params oscore.Params // of this side: it is to be the Sender and Recipient ID of the Resource Server
}

// TokenStore keeps associations and their tokens durably. Each method is one transaction: nothing of it has happened if it
// fails, and all of it survives a crash once it has returned.
type TokenStore interface {
	// Confirm stores an association of which the Client has proven that it has the key, and gives it and its token numbers in
	// a. It takes the place of every earlier association of the same token, and of those of other tokens of the same Client
	// that are not to live beside it; the numbers of these are returned, and their contexts are dropped then.
	Confirm(ctx context.Context, a *Association) (superseded []uint64, err error)
	// ReplaceToken puts t in the place of the token of an association, which goes on. The rights of the two are not merged
	// (RFC 9203, Section 4.2). The store keeps the challenge of the token before.
	ReplaceToken(ctx context.Context, association uint64, t *Token) error
}
