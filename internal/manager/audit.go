package manager

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"time"
)

// AuditEvent is one audit record: JSON, one object, no key material, written in
// the same transaction as what it tells. Empty members are left out.
type AuditEvent struct {
	Event   string   // noun.verb, for example member.joined
	Group   string   // group name
	Node    string   // node name
	Client  string   // the client as its Authorization Server names it
	Cause   string   // why
	Version *uint64  // of the group's keying material, after the event
	Gid     []byte   // after the event
	Sender  []byte   // Sender ID that was given out
	Count   int      // of members, for events that concern many
	Nodes   []string // for events that concern several
	Detail  string
}

type auditJSON struct {
	Time    string   `json:"time"`
	Event   string   `json:"event"`
	Actor   string   `json:"actor,omitempty"`
	Group   string   `json:"group,omitempty"`
	Node    string   `json:"node,omitempty"`
	Client  string   `json:"client,omitempty"`
	Cause   string   `json:"cause,omitempty"`
	Version *uint64  `json:"version,omitempty"`
	Gid     string   `json:"gid,omitempty"`
	Sender  string   `json:"sender_id,omitempty"`
	Count   int      `json:"count,omitempty"`
	Nodes   []string `json:"nodes,omitempty"`
	Detail  string   `json:"detail,omitempty"`
}

func (e AuditEvent) encode(now time.Time, actor string) ([]byte, error) {
	return json.Marshal(auditJSON{
		Time: now.UTC().Format(time.RFC3339Nano), Event: e.Event, Actor: actor, Group: e.Group, Node: e.Node, Client: e.Client,
		Cause: e.Cause, Version: e.Version, Gid: hex.EncodeToString(e.Gid), Sender: hex.EncodeToString(e.Sender),
		Count: e.Count, Nodes: e.Nodes, Detail: e.Detail,
	})
}

type actorKey struct{}

// WithActor notes who is behind the calls made with the context, for audit
// records: for example "uid:0" or "device:switch". Without it the actor is the
// client of the call, or the Group Manager itself.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorFrom gives what WithActor noted.
func ActorFrom(ctx context.Context) string {
	a, _ := ctx.Value(actorKey{}).(string)
	return a
}
