package authserver

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cohort-iot/cohort/keystore"
)

// auditEvent is one audit record: JSON, one object, no key material. Empty members are left out. The members that the records
// of the Group Manager have too have the same names there.
type auditEvent struct {
	Time     string `json:"time"`
	Event    string `json:"event"` // noun.verb, for example token.issued
	Actor    string `json:"actor,omitempty"`
	Client   string `json:"client,omitempty"`
	Audience string `json:"audience,omitempty"`
	Scope    string `json:"scope,omitempty"`
	Token    string `json:"token,omitempty"` // hash
	Cause    string `json:"cause,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

// audit adds a record to the transaction: if it cannot be written, neither is the effect.
func (s *Service) audit(ctx context.Context, tx *keystore.Tx, e auditEvent) error {
	e.Time = s.now().UTC().Format(time.RFC3339Nano)
	if a := ActorFrom(ctx); a != "" {
		e.Actor = a
	}
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return tx.Audit(b)
}

type actorKey struct{}

// WithActor notes who is behind the calls made with the context, for audit records: for example "uid:0". Without it the actor
// is the client of the call, or nobody.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorFrom gives what [WithActor] noted.
func ActorFrom(ctx context.Context) string {
	a, _ := ctx.Value(actorKey{}).(string)
	return a
}
