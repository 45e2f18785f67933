package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/ratelimit"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/boltstore"
)

// Sizes of the ace suite: 100 rounds give 100 000 live tokens.
const (
	liveTokensPerRound = 1000
	issuedPerRound     = 40
	tokenClients       = 256  // devices that ask or post at once
	fillers            = 2048 // more of them share a commit while the store is filled
)

// aceSuite measures the Authorization Server and the token upload over a store on
// the disk, without sockets and without OSCORE: tokens issued, tokens posted and
// confirmed, and what a stranger's post costs. The first two wait for the disk, and
// share its commits when many ask at once. Each is measured with no live tokens and
// with many, at the Authorization Server as at the Group Manager that takes them; that
// the work does not grow is seen in the processor time, which the disk and other
// processes leave alone.
func aceSuite(m *meter) (_ []figure, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b, err := openACE(filepath.Join(dir, "store.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.store.Close()) }()
	n, live := m.rounds*issuedPerRound, m.rounds*liveTokensPerRound
	var empty, full aceLoads
	if empty, err = b.loads(n); err != nil {
		return nil, err
	}
	if _, err = b.issue(fillers, live); err != nil {
		return nil, err
	}
	if _, err = b.post(fillers, live); err != nil {
		return nil, err
	}
	if full, err = b.loads(n); err != nil {
		return nil, err
	}
	beside := fmt.Sprintf("%d live, beside none", live)
	return []figure{
		atMostTimes("token issued, CPU: "+beside, full.issued.each(), empty.issued.each(), "µs", 1.5).noted("this server's share; the device's OSCORE is not in it"),
		shown("tokens issued per second, durable: "+beside, full.issued.rate(), empty.issued.rate(), "1/s").noted(full.issued.limit()),
		atMostTimes("token posted and confirmed, CPU: "+beside, full.posted.each(), empty.posted.each(), "µs", 1.5),
		shown("tokens posted and confirmed per second, durable: "+beside, full.posted.rate(), empty.posted.rate(), "1/s").noted(full.posted.limit()),
		atMostTimes("token of a stranger refused, CPU: "+beside, full.forged.each(), empty.forged.each(), "µs", 1.5).noted(fmt.Sprintf("%d commits", full.forged.commits)),
	}, nil
}

// aceLoads are the tasks of the suite.
type aceLoads struct{ issued, posted, forged load }

func (b *aceBench) loads(n int) (l aceLoads, err error) {
	if l.issued, err = b.issue(tokenClients, n); err != nil {
		return l, err
	}
	if l.posted, err = b.post(tokenClients, n); err != nil {
		return l, err
	}
	l.forged, err = b.forge(n)
	return l, err
}

// measured runs do n times, by as many at once as there are workers, each with its
// number.
func (b *aceBench) measured(workers, n int, do func(worker, i int) error) (load, error) {
	l := load{n: n, server: -cpuTime(), commits: -b.disk.commits.Load(), syncing: -time.Duration(b.disk.spent.Load())}
	all, idle := machineTime()
	began := time.Now()
	var next atomic.Int64
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := do(w, int(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	l.took = time.Since(began)
	all2, idle2 := machineTime()
	l.machine, l.idle = all2-all, idle2-idle
	l.server += cpuTime()
	l.commits += b.disk.commits.Load()
	l.syncing += time.Duration(b.disk.spent.Load())
	return l, err
}

// aceBench is an Authorization Server and a resource server over one store.
type aceBench struct {
	disk    *timed
	store   *keystore.Store
	as      *authserver.Service
	rs      *ace.ResourceServer
	trusted ace.TrustedAS
	clients []authserver.Peer
	posts   int // tokens posted so far, each of a device of its own
}

func openACE(path string) (*aceBench, error) {
	backend, err := boltstore.Open(path)
	if err != nil {
		return nil, err
	}
	key := make([]byte, keystore.DataKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	b := &aceBench{disk: &timed{Backend: backend}}
	if b.store, err = keystore.Open(b.disk, keystore.Options{DataKey: key}); err != nil {
		return nil, err
	}
	b.as, err = authserver.New(authserver.Config{Issuer: "as", TokenURI: "coap://127.0.0.1/token", TokenLimits: &ratelimit.Limits{}}, b.store)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	b.trusted, err = b.as.RegisterRS(ctx, authserver.RSRequest{Audience: "gm", URI: "coap://127.0.0.1"})
	if err != nil {
		return nil, err
	}
	gm, err := manager.New(b.store, manager.Options{Rand: rand.Reader})
	if err != nil {
		return nil, err
	}
	if err := gm.Start(ctx); err != nil {
		return nil, err
	}
	var ids atomic.Uint64
	b.rs, err = ace.NewResourceServer(ace.RSConfig{
		Audience: "gm", Issuers: []ace.TrustedAS{b.trusted}, Clock: clock.System(), Rand: rand.Reader, Revoked: b.as.TokenRevoked,
		AllocateID: func([]byte) ([]byte, error) {
			n := ids.Add(1)
			return []byte{1, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, nil
		},
		MaxPending: 1 << 20,
	}, gm)
	if err != nil {
		return nil, err
	}
	for i := range tokenClients {
		e, err := b.as.Enrol(ctx, authserver.EnrolRequest{Name: fmt.Sprintf("device-%d", i), Audience: "gm", Grants: []authserver.Grant{
			{Audience: "gm", Group: "lights", Roles: ace.RoleRequester},
		}})
		if err != nil {
			return nil, err
		}
		a, err := b.as.PeerByID(e.AS.ID)
		if err != nil {
			return nil, err
		}
		b.clients = append(b.clients, a.Peer)
	}
	return b, nil
}

// issue issues n tokens, to all clients at once.
func (b *aceBench) issue(workers, n int) (load, error) {
	q := &ace.TokenRequest{Scope: ace.Scope{{Group: "lights", Roles: ace.RoleRequester}}, GrantType: ace.GrantClientCredentials}
	return b.measured(workers, n, func(w, _ int) error {
		_, err := b.as.Issue(context.Background(), b.clients[w%len(b.clients)], q)
		return err
	})
}

// post posts n tokens, each of another device, and confirms their associations. The
// tokens are sealed before.
func (b *aceBench) post(workers, n int) (load, error) {
	posts := make([][]byte, n)
	for i := range posts {
		b.posts++
		token, err := b.token(b.posts)
		if err != nil {
			return load{}, err
		}
		posts[i] = token
	}
	ctx := context.Background()
	return b.measured(workers, n, func(_, i int) error {
		p, err := b.rs.PostToken(ctx, netip.Addr{}, posts[i])
		if err != nil {
			return err
		}
		_, _, err = b.rs.Confirm(ctx, p)
		return err
	})
}

// forge posts a token that nobody trusted has sealed, n times.
func (b *aceBench) forge(n int) (load, error) {
	token, err := b.token(0)
	if err != nil {
		return load{}, err
	}
	q, err := ace.ParseAuthzInfoRequest(token)
	if err != nil {
		return load{}, err
	}
	q.AccessToken[len(q.AccessToken)-1] ^= 1
	forged := q.Marshal()
	return b.measured(tokenClients, n, func(int, int) error {
		if _, err := b.rs.PostToken(context.Background(), netip.Addr{}, forged); err == nil {
			return errors.New("a forged token was taken")
		}
		return nil
	})
}

// token is a post of the token of device n, as the Authorization Server would have
// issued it.
func (b *aceBench) token(n int) ([]byte, error) {
	id := binary.BigEndian.AppendUint64(nil, uint64(n))
	material := ace.OSCOREInputMaterial{ID: id, MasterSecret: secret.Hide(random(16)), Salt: secret.Hide(id)}
	token, err := ace.SealToken(b.trusted.Key, random(13), &ace.Claims{
		Issuer: b.trusted.Issuer, Subject: fmt.Sprintf("stored-%d", n), Audience: []string{"gm"}, Expires: time.Now().Add(time.Hour), IssuedAt: time.Now(),
		ID: random(16), Scope: ace.Scope{{Group: "lights", Roles: ace.RoleRequester}}, Profile: ace.ProfileCoAPOSCORE, Cnf: &ace.Confirmation{OSC: &material},
	})
	q := &ace.AuthzInfoRequest{AccessToken: token, Nonce1: random(8), RecipientID: id[4:]}
	return q.Marshal(), err
}
