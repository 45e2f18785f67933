package interop

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Bodies longer than the messages that the other side takes: several blocks go
// in one message (RFC 8323, Section 6).
func TestLibcoapBERT(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("fedcba9876543210"), 1000)
	t.Run("libcoap's server", func(t *testing.T) {
		server := program(t, "coap-server")
		port := freePort(t)
		start(t, server, "-A", "127.0.0.1", "-p", fmt.Sprint(port), "-d", "20", "-X", "3000", "-v", "7")
		e, err := endpoint.New(endpoint.Config{Unicast: loopback, TCP: endpoint.TCPConfig{MaxMessageSize: 4000}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		to := netip.AddrPortFrom(loopback.Addr(), port)
		up(t, e, to)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := e.Do(ctx, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.PUT, Path: "x", Payload: body})
		if err != nil || r.Code != codes.Created {
			t.Fatalf("%+v %v", r, err)
		}
		r, err = e.Do(ctx, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.GET, Path: "x"})
		if err != nil || !bytes.Equal(r.Payload, body) {
			t.Fatalf("%+v %v", r, err)
		}
		// One block of it, as the server cuts them.
		r, err = e.Do(ctx, endpoint.Request{To: to, Via: endpoint.ViaTCP, Code: codes.GET, Path: "x", Options: message.Options{{ID: message.Block2, Value: coapmsg.EncodeUint(3<<4 | 7)}}})
		if err != nil || !bytes.Equal(r.Payload, body[3<<10:6<<10]) {
			t.Fatalf("%+v %v", r, err)
		}
	})
	t.Run("libcoap's client", func(t *testing.T) {
		client := program(t, "coap-client")
		file := filepath.Join(t.TempDir(), "body")
		if err := os.WriteFile(file, body, 0o600); err != nil {
			t.Fatal(err)
		}
		var got atomic.Pointer[[]byte]
		m := endpoint.NewMux()
		m.Handle("/x", endpoint.AcceptPlain, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
			b, _ := r.ReadBody()
			got.Store(&b)
			_ = w.SetResponse(codes.Changed, message.TextPlain, nil)
		}))
		e, err := endpoint.New(endpoint.Config{Unicast: loopback, Handler: m, TCP: endpoint.TCPConfig{Listen: []netip.AddrPort{loopback}, MaxMessageSize: 4000}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if out, err := run(t, client, "-m", "put", "-f", file, "-B", "10", "-v", "7", fmt.Sprintf("coap+tcp://%s/x", e.ListenAddrs(endpoint.ViaTCP)[0])); err != nil || !bytes.Contains([]byte(out), []byte("/BERT")) {
			t.Fatalf("%q %v", out, err)
		}
		if b := got.Load(); b == nil || !bytes.Equal(*b, body) {
			t.Fatal("another body arrived")
		}
	})
}
