package main

import (
	"bytes"
	"crypto/rand"
	"io"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
)

// lamp is the resource /light of a device in the demonstration.
type lamp struct {
	mu    sync.Mutex
	state string
}

func newLamp() *lamp { return &lamp{state: "off"} }

func (l *lamp) get() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// ServeCOAP answers GET with the state; PUT switches on or off.
func (l *lamp) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	switch r.Code() {
	case codes.GET:
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte(l.get())))
	case codes.PUT:
		var body []byte
		if b := r.Body(); b != nil {
			body, _ = io.ReadAll(io.LimitReader(b, 4))
		}
		if s := string(body); s == "on" || s == "off" {
			l.mu.Lock()
			l.state = s
			l.mu.Unlock()
			_ = w.SetResponse(codes.Changed, message.TextPlain, nil)
			return
		}
		_ = w.SetResponse(codes.BadRequest, message.TextPlain, nil)
	default:
		_ = w.SetResponse(codes.MethodNotAllowed, message.TextPlain, nil)
	}
}

func randomBytes(b []byte) error {
	_, err := rand.Read(b)
	return err
}
