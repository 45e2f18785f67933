package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/api/coap"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/boltstore"
	"github.com/cohort-iot/cohort/oscore"
)

// managed is a Group Manager with its store, as the command wires it: the endpoint
// has the number of workers, queues and tables that it has there.
type managed struct {
	path  string
	disk  *timed
	store *keystore.Store
	svc   *manager.Service
	srv   *coap.Server
	ep    *endpoint.Endpoint
	key   ace.TokenKey

	confirmed confirmations
}

const benchAudience = "gm"

func openManager(path string) (*managed, error) {
	g := &managed{path: path, key: ace.TokenKey{KID: []byte{1}, Alg: cose.AlgAESCCM16_128_128, Key: secret.Hide(make([]byte, 16))}}
	return g, g.open()
}

func (g *managed) open() error {
	b, err := boltstore.Open(g.path)
	if err != nil {
		return err
	}
	g.disk = &timed{Backend: b}
	if g.store, err = keystore.Open(g.disk, keystore.Options{DataKey: make([]byte, keystore.DataKeySize)}); err != nil {
		return err
	}
	store := g.store
	sessions, err := coap.NewSessions(coap.SessionsConfig{
		Contexts: &endpoint.Contexts{},
		Sequence: func(a uint64) coap.SequenceStore { return store.Sequence(manager.AssociationSequence(a)) },
	})
	if err != nil {
		return err
	}
	if g.svc, err = manager.New(g.store, manager.Options{Rand: rand.Reader, Delivery: sessions, Sessions: sessions, Observers: sessions, Meter: &g.confirmed}); err != nil {
		return err
	}
	g.srv, err = coap.New(coap.Config{
		Manager: g.svc, Sessions: sessions, Audience: benchAudience, Issuers: []ace.TrustedAS{{Issuer: "as", Key: g.key}}, Clock: clock.System(), MaxPending: 4 * clients,
	})
	if err != nil {
		return err
	}
	g.ep, err = endpoint.New(endpoint.Config{Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Handler: g.srv.Handler(), Openers: g.srv.Openers()})
	if err != nil {
		return err
	}
	sessions.Attach(g.ep)
	return g.svc.Start(context.Background())
}

func (g *managed) close() error {
	g.srv.Close()
	err := g.ep.Close()
	g.svc.Stop()
	return errors.Join(err, g.store.Close())
}

// populate makes members without the network, as if they had joined.
func (g *managed) populate(group string, n int) error {
	var eg errgroup.Group
	eg.SetLimit(clients)
	for i := range n {
		eg.Go(func() error { return g.member(group, fmt.Sprintf("%s-%d", group, i)) })
	}
	return eg.Wait()
}

func (g *managed) member(group, name string) error {
	ctx := context.Background()
	key, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
	if err != nil {
		return err
	}
	cred, err := cose.NewCCS(name, key.Public())
	if err != nil {
		return err
	}
	a := &ace.Association{
		Token: ace.Token{
			Hash: ace.HashToken([]byte(name)), Issuer: "as", Client: name, Scope: ace.Scope{{Group: group, Roles: ace.RoleResponder}},
			Expires: time.Now().Add(time.Hour), Challenge: make([]byte, 8), Material: ace.OSCOREInputMaterial{ID: []byte(name)},
		},
		Params: oscore.Params{MasterSecret: make([]byte, 16), SenderID: []byte{1}, RecipientID: []byte{2}},
	}
	if _, err := g.svc.Confirm(ctx, a); err != nil {
		return err
	}
	client, err := g.svc.ClientOf(a.Number)
	if err != nil {
		return err
	}
	q, err := joinRequest(group, key, cred, a.Token.Challenge, "")
	if err != nil {
		return err
	}
	_, err = g.svc.Join(ctx, manager.Caller{Client: client, Association: a.Number, Addr: netip.MustParseAddrPort("127.0.0.1:5683")}, group, q)
	return err
}

// joinRequest makes a request with its proof of possession.
func joinRequest(group string, key *cose.PrivateKey, cred *cose.Credential, ns []byte, control string) ([]byte, error) {
	q := &groupcomm.JoinRequest{
		Entry: ace.ScopeEntry{Group: group, Roles: ace.RoleResponder}, Nonce: make([]byte, 8), Credential: cred.Bytes(), ControlURI: control,
	}
	if _, err := rand.Read(q.Nonce); err != nil {
		return nil, err
	}
	q.Scope = groupcomm.EncodeScope(q.Entry)
	var err error
	q.Evidence, err = groupcomm.SignEvidence(key, cose.AlgEdDSA, groupcomm.ClientPoP(q.Scope, ns, q.Nonce))
	return q.Marshal(), err
}
