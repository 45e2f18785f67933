package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/api/coap"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/internal/trust"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/anchorfile"
	"github.com/cohort-iot/cohort/keystore/boltstore"
)

const (
	storeName   = "store.db"
	drainPeriod = 20 * time.Second // for open requests of operators at the end
)

// server is a running Group Manager with its Authorization Server.
type server struct {
	cfg     *config
	log     *slog.Logger
	started time.Time

	store    *keystore.Store
	clock    clock.Clock
	tokenURI string
	as       *authserver.Service // nil: the role is gm
	asFace   *coap.ASServer
	manager  *manager.Service // nil, as the five below, if the role is as
	trust    *trust.Service
	coap     *coap.Server
	sessions *coap.Sessions
	asClient *coap.ASClient
	ep       *endpoint.Endpoint

	trusting sync.Mutex // held from reading whose tokens are taken until that holds

	working    context.Context // ends with the process's work
	rest       context.CancelFunc
	background sync.WaitGroup

	operators chan error         // what serving the operator's socket ended with
	stop      context.CancelFunc // ends it
	closing   sync.Once
	closed    error
}

// openServer starts the Group Manager of a configuration. When it returns
// without an error, devices and operators are served. ctx bounds the start only.
func openServer(ctx context.Context, cfg *config, log *slog.Logger) (_ *server, err error) {
	s := &server{cfg: cfg, log: log, started: time.Now(), operators: make(chan error, 1)}
	s.working, s.rest = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.openStore(); err != nil {
		return nil, err
	}
	if err := s.openDomains(ctx); err != nil {
		return nil, err
	}
	restart := s.store.Restart()
	log.Info("start", "generation", restart.Generation, "new", restart.Fresh, "clean", restart.Clean, "anchor", restart.Anchor)
	if err := s.startDomains(ctx); err != nil {
		return nil, err
	}
	if err := s.serveOperators(); err != nil {
		return nil, err
	}
	log.Info("ready", "listen", s.ep.LocalAddr(), "uri", cfg.URI, "socket", cfg.Socket)
	return s, nil
}

// startDomains lets the domains begin: groups are rekeyed first.
func (s *server) startDomains(ctx context.Context) error {
	if s.manager != nil {
		if err := s.manager.Start(ctx); err != nil {
			return err
		}
		if s.store.Restart().Continuous() {
			if err := s.sessions.Load(ctx, s.manager); err != nil {
				return err
			}
		}
		s.background.Go(func() { s.trust.Run(s.working) })
	}
	if s.as != nil {
		s.background.Go(func() {
			s.as.Run(s.working, func(err error) { s.log.Warn("expired tokens are not swept away", "err", err) })
		})
	}
	return nil
}

// openStore opens the sealed store; the errors say what to do.
func (s *server) openStore() error {
	path := filepath.Join(s.cfg.DataDir, storeName)
	backend, err := boltstore.Open(path)
	if err != nil {
		return storeFailure(path, err)
	}
	o := keystore.Options{Wrapper: s.cfg.SealKey.wrapper(), Existing: true}
	if s.cfg.Anchor != "" {
		if o.Anchor, err = anchorfile.Open(s.cfg.Anchor, s.cfg.DataDir); err != nil {
			return errors.Join(cli.Fail(cli.ExitUsage, "see anchor in the configuration", "%w", err), backend.Close())
		}
	}
	if s.store, err = keystore.Open(backend, o); err != nil {
		return errors.Join(storeFailure(path, err), backend.Close())
	}
	return nil
}

// createStore makes the empty store of a new data directory, so that a start
// which finds none knows that something is amiss.
func createStore(dataDir, anchor string, key secretRef) error {
	o := keystore.Options{Wrapper: key.wrapper()}
	if anchor != "" {
		var err error
		if o.Anchor, err = anchorfile.Open(anchor, dataDir); err != nil {
			return err
		}
	}
	backend, err := boltstore.Open(filepath.Join(dataDir, storeName))
	if err != nil {
		return err
	}
	s, err := keystore.Open(backend, o)
	if err != nil {
		return errors.Join(err, backend.Close())
	}
	return s.Close()
}

// storeFailure says which store cannot be opened, and what to do.
func storeFailure(path string, err error) error {
	hint := "bring the store back from a backup"
	switch {
	case errors.Is(err, keystore.ErrHeld):
		hint = "one Group Manager works on one store: stop the other one first"
	case errors.Is(err, keystore.ErrWrongKey):
		hint = "the store was sealed with another key: bring back the one that belongs to it, or correct seal_key"
	case errors.Is(err, keystore.ErrEmpty):
		hint = "is the volume mounted, and is data_dir right? groupmanager init makes a new installation"
	case errors.Is(err, keystore.ErrInsecure):
		hint = ""
	}
	return cli.Fail(cli.ExitFailed, hint, "store %s: %w", path, err)
}

// openDomains makes the domains of the process's role and their CoAP face;
// nothing is served before the manager starts.
func (s *server) openDomains(ctx context.Context) error {
	mark, err := trust.LoadMark(s.store)
	if err != nil {
		return err
	}
	s.clock = clock.NewSteady(clock.System(), mark)
	s.tokenURI = s.cfg.URI + "/token"
	if s.cfg.Role.authorizes() {
		if err := s.openAuthServer(); err != nil {
			return err
		}
	}
	handler, openers, err := s.openFace(ctx)
	if err != nil {
		return err
	}
	s.ep, err = endpoint.New(endpoint.Config{Unicast: s.cfg.Listen, Handler: handler, Openers: openers, Clock: s.clock, Log: s.log})
	if err != nil {
		return cli.Fail(cli.ExitFailed, "see listen in the configuration", "%w", err)
	}
	if s.sessions != nil {
		s.sessions.Attach(s.ep)
		s.asClient.Attach(s.ep)
	}
	return nil
}

// openAuthServer makes the Authorization Server.
func (s *server) openAuthServer() (err error) {
	s.as, err = authserver.New(authserver.Config{
		Issuer: s.cfg.Issuer, TokenURI: s.tokenURI, Events: &asEvents{s}, ListChanged: s.listChanged, Clock: s.clock,
	}, s.store)
	return err
}

// openFace makes the Group Manager, if the process is one, and what serves both.
func (s *server) openFace(ctx context.Context) (mux.Handler, []endpoint.RequestOpener, error) {
	if !s.cfg.Role.manages() {
		face, err := coap.NewASServer(s.as, rand.Reader, s.log)
		if err != nil {
			return nil, nil, err
		}
		s.asFace = face
		return face.Handler(), []endpoint.RequestOpener{face.Opener()}, nil
	}
	if err := s.openManager(); err != nil {
		return nil, nil, err
	}
	issuers, err := s.issuers(ctx)
	if err != nil {
		return nil, nil, err
	}
	exi, err := ace.NewExiTable(s.clock, s.trust, trust.MaxExi)
	if err != nil {
		return nil, nil, err
	}
	s.trust.SetExi(exi)
	c := coap.Config{
		Manager: s.manager, Sessions: s.sessions, Audience: s.cfg.Audience, Issuers: issuers, MayBeAlone: true,
		Revoked: s.revoked, Seen: s.trust.Seen, Exi: exi, Introspector: s.asClient, Clock: s.clock, Log: s.log,
	}
	if s.as != nil {
		c.AS, c.TokenURI = s.as, s.tokenURI
	}
	if s.coap, err = coap.New(c); err != nil {
		return nil, nil, err
	}
	s.asFace = s.coap.AS()
	return s.coap.Handler(), s.coap.Openers(), nil
}

// openManager makes the Group Manager and what it believes of Authorization Servers.
func (s *server) openManager() (err error) {
	s.sessions, err = coap.NewSessions(coap.SessionsConfig{
		Contexts: &endpoint.Contexts{}, Clock: s.clock,
		Sequence: func(a uint64) coap.SequenceStore { return s.store.Sequence(manager.AssociationSequence(a)) },
	})
	if err != nil {
		return err
	}
	restart := s.store.Restart()
	s.manager, err = manager.New(s.store, manager.Options{
		Rand: rand.Reader, Log: s.log, Delivery: s.sessions, Sessions: s.sessions, Observers: s.sessions, OnRestart: s.cfg.OnRestart, Clock: s.clock,
		KeepAssociations: restart.Continuous(), Clean: restart.Clean, Restored: restart.Restored || restart.Doubtful,
	})
	if err != nil {
		return err
	}
	known := &later{}
	s.asClient = coap.NewASClient(known, rand.Reader)
	s.trust, err = trust.New(trust.Config{
		Audience: s.cfg.Audience, Effect: s.manager, Source: s.asClient, Watcher: s.asClient, Clock: s.clock,
		Changed: func([]ace.TrustedAS) { s.trustChanged() },
		Report:  func(issuer string, err error) { s.log.Warn("authorization server", "issuer", issuer, "err", err) },
	}, s.store)
	known.Service = s.trust
	return err
}

// later is a trust.Service that is made after what asks it.
type later struct{ *trust.Service }

// issuers are all whose tokens are taken: the Authorization Server of this
// process, and those the operator added.
func (s *server) issuers(ctx context.Context) ([]ace.TrustedAS, error) {
	list, err := s.trust.Trusted()
	if err != nil || s.as == nil {
		return list, err
	}
	own, err := s.registerManager(ctx)
	return append(own, list...), err
}

func (s *server) trustChanged() {
	if s.coap == nil {
		return
	}
	s.trusting.Lock()
	defer s.trusting.Unlock()
	list, err := s.issuers(context.Background())
	if err != nil {
		s.log.Error("whose tokens are taken cannot be read", "err", err)
		return
	}
	s.coap.SetIssuers(list)
}

func (s *server) revoked(h ace.TokenHash) bool {
	return s.trust.Revoked(h) || s.as != nil && s.as.TokenRevoked(h)
}

// listChanged tells those who observe the list of revoked tokens.
func (s *server) listChanged(peers []authserver.Peer) {
	if s.asFace != nil && s.ep != nil {
		s.asFace.ListChanged(s.ep, peers)
	}
}

// registerManager makes the Group Manager known to its own Authorization
// Server, and where devices reach it.
func (s *server) registerManager(ctx context.Context) ([]ace.TrustedAS, error) {
	moved, err := s.as.MoveRS(ctx, s.cfg.Audience, s.cfg.URI)
	if errors.Is(err, authserver.ErrNotFound) {
		as, err := s.as.RegisterRS(ctx, authserver.RSRequest{Audience: s.cfg.Audience, URI: s.cfg.URI})
		return []ace.TrustedAS{as}, err
	}
	if err != nil {
		return nil, err
	}
	if moved {
		s.log.Warn("devices that were enrolled before still ask for the Group Manager where it was", "uri", s.cfg.URI)
	}
	return s.as.TrustedAS(s.cfg.Audience)
}

// asEvents logs what the Authorization Server wants somebody to see, and lets
// the Group Manager of this process act upon revoked tokens.
type asEvents struct{ s *server }

func (e *asEvents) SecretInUseTwice(client string) {
	e.s.log.Error("the enrolment secret of a device is in use twice: revoke it and enrol it anew", "device", client)
}

func (e *asEvents) TokenRevoked(h ace.TokenHash) {
	if e.s.trust == nil {
		return
	}
	e.s.background.Go(func() {
		if err := e.s.trust.Learn(e.s.working, e.s.cfg.Issuer, h); err != nil && e.s.working.Err() == nil {
			e.s.log.Error("a revoked token did not end here yet", "token", h, "err", err)
		}
	})
}

// serveOperators starts to serve the operator's socket.
func (s *server) serveOperators() error {
	c := httpapi.Config{Health: s.health, Log: s.log}
	if s.manager != nil {
		c.Groups, c.Control, c.Members, c.Identities, c.Trusted = s.manager, s.manager, s.manager, s.manager, s.trust
		c.Inspect = s.coap.Inspect
	}
	if s.as != nil {
		a := httpapi.AuthServer{Registry: s.as, TokenRegistry: s.as, Audience: s.cfg.Audience}
		if s.manager != nil {
			a.Evict, a.HasGroup = s.evictDevice, s.hasGroup
		}
		c.Devices, c.Tokens, c.ResourceServers = a, a, s.as
	}
	h, err := httpapi.New(c)
	if err != nil {
		return err
	}
	ln, err := httpapi.Listen(s.cfg.Socket)
	if err != nil {
		return cli.Fail(cli.ExitFailed, "see socket in the configuration", "%w", err)
	}
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		drain, cancel := context.WithCancel(context.Background())
		defer cancel()
		context.AfterFunc(run, func() { time.AfterFunc(drainPeriod, cancel) })
		s.operators <- httpapi.Serve(run, drain, ln, h, httpapi.OwnerAndRoot(), s.log)
	}()
	return nil
}

func (s *server) health(context.Context) httpapi.Health {
	h := httpapi.Health{Ready: true, Version: buildVersion().Version, Started: s.started.UTC(), Checks: map[string]string{"store": "ok"}}
	if err := s.store.Err(); err != nil {
		h.Ready = false
		h.Checks["store"] = err.Error()
	}
	return h
}

// wait returns when ctx is done or the server cannot go on.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.store.Done():
		return fmt.Errorf("the store cannot go on, start again: %w", s.store.Err())
	case err := <-s.operators:
		s.operators <- nil
		return fmt.Errorf("the operator's socket ended: %w", err)
	}
}

// Close stops serving, writes what is owed and closes the store, so that the
// next start finds a clean stop. It may be called again.
func (s *server) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.stop != nil {
			s.stop()
			errs = append(errs, <-s.operators)
		}
		s.rest()
		s.background.Wait()
		if s.coap != nil {
			s.coap.Close()
		}
		if s.ep != nil {
			errs = append(errs, s.ep.Close())
		}
		if s.manager != nil {
			s.manager.Stop()
		}
		if s.store != nil {
			errs = append(errs, s.store.Close())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}

// evictDevice puts a device out of all its groups. A Group Manager in another
// process does so when it sees the revoked tokens on the list.
func (s *server) evictDevice(ctx context.Context, name string) (groups int, err error) {
	return s.manager.EndClient(ctx, s.cfg.Issuer, name, manager.CauseTokenRevoked)
}

func (s *server) hasGroup(ctx context.Context, name string) (bool, error) {
	_, err := s.manager.Group(ctx, name)
	if manager.KindOf(err) == manager.KindNotFound {
		return false, nil
	}
	return err == nil, err
}

// logger makes the log of `run`.
func (c *config) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
