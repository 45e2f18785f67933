package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
)

// Peer is the process at the other end of the socket, as the kernel names it.
type Peer struct {
	UID, GID uint32
	PID      int32
}

// String names the peer for logs and audit records.
func (p Peer) String() string { return fmt.Sprintf("uid %d pid %d", p.UID, p.PID) }

// errPeer means that the kernel does not say who is at the other end.
var errPeer = errors.New("the peer's uid is not known")

type peerKey struct{}

// PeerFrom returns the peer that sent the request with this context.
func PeerFrom(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok
}

// withPeer puts the peer of a connection into the context of its requests.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	p, err := peerOf(c)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// Operators says which uids may use the channel.
type Operators func(uid uint32) bool

// OwnerAndRoot admits the uid that the server runs as, and root.
func OwnerAndRoot() Operators {
	own := uint32(os.Getuid())
	return func(uid uint32) bool { return uid == own || uid == 0 }
}

// admit passes on the requests of operators and refuses all others.
func admit(allowed Operators, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := PeerFrom(r.Context())
		switch {
		case !ok:
			writeProblem(w, problem(http.StatusForbidden, "forbidden", "who is calling is not known", "call over the Unix socket"))
		case !allowed(p.UID):
			writeProblem(w, problem(http.StatusForbidden, "forbidden", fmt.Sprintf("uid %d is no operator of this Group Manager", p.UID),
				"run the command as the user that runs groupmanager, or as root"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}
