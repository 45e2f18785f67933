package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/ratelimit"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/boltstore"
)

// Sizes of the ace suite: 100 rounds give 100 000 live tokens.
const (
	liveTokensPerRound = 1000
	issuedPerRound     = 40
	tokenClients       = 256 // devices that ask at once
)

// aceSuite measures the Authorization Server and the token upload over a store on
// the disk, without sockets: tokens issued, and tokens posted and confirmed. Both
// wait for the disk, and share its commits when many ask at once. That the work
// does not grow with the number of live tokens is seen in the processor time, which
// the disk and other processes leave alone.
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
	n := m.rounds * issuedPerRound
	empty, first, err := b.issue(n)
	if err != nil {
		return nil, err
	}
	posts, err := b.posts(first)
	if err != nil {
		return nil, err
	}
	if _, _, err := b.issue(m.rounds * liveTokensPerRound); err != nil {
		return nil, err
	}
	full, last, err := b.issue(n)
	if err != nil {
		return nil, err
	}
	later, err := b.posts(last)
	if err != nil {
		return nil, err
	}
	live := m.rounds * liveTokensPerRound
	return []figure{
		atMostTimes(fmt.Sprintf("token issued, %d live: CPU", live), full.cpu, empty.cpu, "µs", 1.5),
		shown("tokens issued per second, durable", full.rate, empty.rate, "1/s"),
		atMostTimes(fmt.Sprintf("token posted and confirmed, %d live: CPU", live), later.cpu, posts.cpu, "µs", 1.5),
		shown("tokens posted and confirmed per second, durable", later.rate, posts.rate, "1/s"),
	}, nil
}

// pace is how fast something went.
type pace struct {
	rate float64 // per second
	cpu  float64 // µs of processor time for each
}

// paced measures n of something.
func paced(n int, do func() error) (pace, error) {
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		return pace{}, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return pace{}, err
	}
	took := time.Since(began)
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		return pace{}, err
	}
	used := float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / 1e3
	return pace{rate: float64(n) / took.Seconds(), cpu: used / float64(n)}, nil
}

// aceBench is an Authorization Server and a resource server over one store.
type aceBench struct {
	store   *keystore.Store
	as      *authserver.Service
	rs      *ace.ResourceServer
	clients []authserver.Peer
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
	b := &aceBench{}
	if b.store, err = keystore.Open(backend, keystore.Options{DataKey: key}); err != nil {
		return nil, err
	}
	b.as, err = authserver.New(authserver.Config{Issuer: "as", TokenURI: "coap://127.0.0.1/token", TokenLimits: &ratelimit.Limits{}}, b.store)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	trusted, err := b.as.RegisterRS(ctx, authserver.RSRequest{Audience: "gm", URI: "coap://127.0.0.1"})
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
		Audience: "gm", Issuers: []ace.TrustedAS{trusted}, Clock: clock.System(), Rand: rand.Reader, Revoked: b.as.TokenRevoked,
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

// issue issues n tokens to all clients at once; it returns the last token of each
// client too.
func (b *aceBench) issue(n int) (p pace, tokens [][]byte, err error) {
	tokens = make([][]byte, len(b.clients))
	q := &ace.TokenRequest{Scope: ace.Scope{{Group: "lights", Roles: ace.RoleRequester}}, GrantType: ace.GrantClientCredentials}
	var left atomic.Int64
	left.Store(int64(n))
	p, err = paced(n, func() error {
		var g errgroup.Group
		for i, c := range b.clients {
			g.Go(func() error {
				for left.Add(-1) >= 0 {
					resp, err := b.as.Issue(context.Background(), c, q)
					if err != nil {
						return err
					}
					tokens[i] = resp.AccessToken
				}
				return nil
			})
		}
		return g.Wait()
	})
	return p, tokens, err
}

// posts posts each token and confirms the association, all at once.
func (b *aceBench) posts(tokens [][]byte) (pace, error) {
	ctx := context.Background()
	return paced(len(tokens), func() error {
		var g errgroup.Group
		for i, token := range tokens {
			if token == nil {
				continue // others were quicker
			}
			g.Go(func() error {
				q := &ace.AuthzInfoRequest{AccessToken: token, Nonce1: []byte("12345678"), RecipientID: []byte{0, byte(i >> 8), byte(i)}}
				p, err := b.rs.PostToken(ctx, netip.Addr{}, q.Marshal())
				if err != nil {
					return err
				}
				_, _, err = b.rs.Confirm(ctx, p)
				return err
			})
		}
		return g.Wait()
	})
}
