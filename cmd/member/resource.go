package main

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/endpoint"
)

// maxValue bounds what a PUT stores, in bytes.
const maxValue = 1024

// textResource is a value that members of the device's groups read and write.
type textResource struct {
	mu      sync.Mutex
	value   []byte
	changed func(path string, from endpoint.Peer, value []byte)
	path    string
}

// resources makes the resources that the command line describes as PATH=TEXT.
func resources(list []string, changed func(path string, from endpoint.Peer, value []byte)) (m *endpoint.Mux, err error) {
	m = endpoint.NewMux()
	seen := map[string]bool{}
	for _, s := range list {
		path, value, ok := strings.Cut(s, "=")
		if !ok || !strings.HasPrefix(path, "/") || len(path) < 2 || strings.ContainsAny(path, "{}") || seen[path] || len(value) > maxValue {
			return nil, cli.Fail(cli.ExitUsage, "as --resource /light=off", "--resource %q is no PATH=TEXT, or a second one of that path", s)
		}
		seen[path] = true
		r := &textResource{value: []byte(value), changed: changed, path: path}
		m.Handle(path, endpoint.AcceptGroup|endpoint.AcceptPairwise, endpoint.Observable(r))
	}
	return m, nil
}

// ServeCOAP answers GET with the value and takes a new one from PUT.
func (r *textResource) ServeCOAP(w mux.ResponseWriter, m *mux.Message) {
	switch m.Code() {
	case codes.GET:
		r.mu.Lock()
		value := bytes.Clone(r.value)
		r.mu.Unlock()
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader(value))
	case codes.PUT:
		body := []byte{}
		if b := m.Body(); b != nil {
			var err error
			if body, err = io.ReadAll(io.LimitReader(b, maxValue+1)); err != nil || len(body) > maxValue {
				_ = w.SetResponse(codes.RequestEntityTooLarge, message.TextPlain, nil)
				return
			}
		}
		r.mu.Lock()
		r.value = body
		r.mu.Unlock()
		if p, ok := endpoint.PeerFrom(m.Context()); ok {
			r.changed(r.path, p, body)
		}
		_ = w.SetResponse(codes.Changed, message.TextPlain, nil)
	default:
		_ = w.SetResponse(codes.MethodNotAllowed, message.TextPlain, nil)
	}
}
