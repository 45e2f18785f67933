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

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/api/coap"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/manager"
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
	as       *authserver.Service
	manager  *manager.Service
	coap     *coap.Server
	sessions *coap.Sessions
	ep       *endpoint.Endpoint

	operators chan error         // what serving the operator's socket ended with
	stop      context.CancelFunc // ends it
	closing   sync.Once
	closed    error
}

// openServer starts the Group Manager of a configuration. When it returns
// without an error, devices and operators are served. ctx bounds the start only.
func openServer(ctx context.Context, cfg *config, log *slog.Logger) (_ *server, err error) {
	s := &server{cfg: cfg, log: log, started: time.Now(), operators: make(chan error, 1)}
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
	if err := s.manager.Start(ctx); err != nil {
		return nil, err
	}
	if restart.Continuous() {
		if err := s.sessions.Load(ctx, s.manager); err != nil {
			return nil, err
		}
	}
	if err := s.serveOperators(); err != nil {
		return nil, err
	}
	log.Info("ready", "listen", s.ep.LocalAddr(), "uri", cfg.URI, "socket", cfg.Socket)
	return s, nil
}

// openStore opens the sealed store; the errors say what to do.
func (s *server) openStore() error {
	backend, err := boltstore.Open(filepath.Join(s.cfg.DataDir, storeName))
	if err != nil {
		hint := ""
		if errors.Is(err, keystore.ErrHeld) {
			hint = "one Group Manager works on one store: stop the other one first"
		}
		return cli.Fail(cli.ExitFailed, hint, "%w", err)
	}
	o := keystore.Options{Wrapper: s.cfg.SealKey.wrapper()}
	if s.cfg.Anchor != "" {
		if o.Anchor, err = anchorfile.Open(s.cfg.Anchor, s.cfg.DataDir); err != nil {
			return errors.Join(cli.Fail(cli.ExitUsage, "see anchor in the configuration", "%w", err), backend.Close())
		}
	}
	if s.store, err = keystore.Open(backend, o); err != nil {
		hint := ""
		if errors.Is(err, keystore.ErrWrongKey) {
			hint = "the store was sealed with another key: bring back the one that belongs to it, or correct seal_key"
		}
		return errors.Join(cli.Fail(cli.ExitFailed, hint, "%w", err), backend.Close())
	}
	return nil
}

// openDomains makes the domains and their CoAP face; nothing is served before
// the manager starts.
func (s *server) openDomains(ctx context.Context) (err error) {
	tokenURI := s.cfg.URI + "/token"
	s.as, err = authserver.New(authserver.Config{Issuer: "as-" + s.cfg.Audience, TokenURI: tokenURI, Events: asEvents{s.log}}, s.store)
	if err != nil {
		return err
	}
	issuers, err := s.registerManager(ctx)
	if err != nil {
		return err
	}
	s.sessions, err = coap.NewSessions(coap.SessionsConfig{
		Contexts: &endpoint.Contexts{},
		Sequence: func(a uint64) coap.SequenceStore { return s.store.Sequence(manager.AssociationSequence(a)) },
	})
	if err != nil {
		return err
	}
	restart := s.store.Restart()
	s.manager, err = manager.New(s.store, manager.Options{
		Rand: rand.Reader, Log: s.log, Delivery: s.sessions, Sessions: s.sessions, Observers: s.sessions, OnRestart: s.cfg.OnRestart,
		KeepAssociations: restart.Continuous(), Clean: restart.Clean, Restored: restart.Restored || restart.Doubtful,
	})
	if err != nil {
		return err
	}
	s.coap, err = coap.New(coap.Config{
		Manager: s.manager, Sessions: s.sessions, Audience: s.cfg.Audience, Issuers: issuers, Revoked: s.as.TokenRevoked,
		AS: s.as, TokenURI: tokenURI, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.ep, err = endpoint.New(endpoint.Config{Unicast: s.cfg.Listen, Handler: s.coap.Handler(), Openers: s.coap.Openers(), Log: s.log})
	if err != nil {
		return cli.Fail(cli.ExitFailed, "see listen in the configuration", "%w", err)
	}
	s.sessions.Attach(s.ep)
	return nil
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

// asEvents logs what the Authorization Server wants somebody to see.
type asEvents struct{ log *slog.Logger }

func (e asEvents) SecretInUseTwice(client string) {
	e.log.Error("the enrolment secret of a device is in use twice: revoke it and enrol it anew", "device", client)
}

func (e asEvents) TokenRevoked(ace.TokenHash) {}

// serveOperators starts to serve the operator's socket.
func (s *server) serveOperators() error {
	h, err := httpapi.New(httpapi.Config{
		Groups: s.manager, Control: s.manager, Members: s.manager, Health: s.health, Log: s.log,
		Devices: httpapi.AuthServer{Registry: s.as, Audience: s.cfg.Audience, Evict: s.evictDevice},
	})
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

// evictDevice puts a device out of all its groups.
func (s *server) evictDevice(ctx context.Context, name string) (groups int, err error) {
	return s.manager.EndClient(ctx, "as-"+s.cfg.Audience, name, manager.CauseTokenRevoked)
}

// logger makes the log of `run`.
func (c *config) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
