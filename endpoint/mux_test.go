package endpoint_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/netsim"
)

// asked serves handlers to a client under fake time.
func asked(t *testing.T, h mux.Handler, f func(t *testing.T, do func(code codes.Code, path string, sec endpoint.Protector, opts ...message.Option) *endpoint.Response)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := netsim.New(netsim.Config{})
		start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: h, Openers: []endpoint.RequestOpener{&toy{id: 1}}})
		client := start(t, endpoint.Config{Network: n, Unicast: clientAddr})
		f(t, func(code codes.Code, path string, sec endpoint.Protector, opts ...message.Option) *endpoint.Response {
			t.Helper()
			r, err := client.Do(context.Background(), endpoint.Request{To: serverAddr, Code: code, Path: path, Security: sec, Options: opts})
			if err != nil {
				t.Fatal(err)
			}
			return r
		})
	})
}

// route answers with what the mux found.
func echoRoute(name string) mux.Handler {
	return mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		s := name + " " + r.RouteParams.PathTemplate
		for _, k := range []string{"g", "n", "rest"} {
			if v, ok := r.RouteParams.Vars[k]; ok {
				s += " " + k + "=" + v
			}
		}
		_ = w.SetResponse(codes.Content, message.TextPlain, strings.NewReader(s))
	})
}

func TestMuxRoutes(t *testing.T) {
	m := endpoint.NewMux()
	for _, p := range []string{"/", "/ace-group", "/ace-group/{g}", "/ace-group/{g}/nodes/{n}", "/ace-group/special/num", "/ace-group/{g}/num", "/files/{rest...}", "/empty//segment"} {
		m.Handle(p, endpoint.AcceptPlain, echoRoute("h"))
	}
	asked(t, m, func(t *testing.T, do func(codes.Code, string, endpoint.Protector, ...message.Option) *endpoint.Response) {
		for path, want := range map[string]string{
			"":                         "h /",
			"/":                        "h /",
			"ace-group":                "h /ace-group",
			"ace-group/g1":             "h /ace-group/{g} g=g1",
			"ace-group/g1/nodes/n%2":   "h /ace-group/{g}/nodes/{n} g=g1 n=n%2",
			"ace-group/special":        "h /ace-group/{g} g=special",
			"ace-group/special/num":    "h /ace-group/special/num",
			"ace-group/special/nodes/": "h /ace-group/{g}/nodes/{n} g=special n=",
			"ace-group/other/num":      "h /ace-group/{g}/num g=other",
			"files":                    "h /files/{rest...} rest=",
			"files/a/b":                "h /files/{rest...} rest=a/b",
			"empty//segment":           "h /empty//segment",
			"ace-group/g1/nothing":     "",
			"other":                    "",
			"ace-group/g1/nodes":       "",
		} {
			r := do(codes.GET, path, nil)
			if want == "" && r.Code != codes.NotFound || want != "" && string(r.Payload) != want {
				t.Errorf("%q: %v %q, want %q", path, r.Code, r.Payload, want)
			}
		}
		// A slash inside a segment is not a separator.
		r := do(codes.GET, "", nil, message.Option{ID: message.URIPath, Value: []byte("ace-group")}, message.Option{ID: message.URIPath, Value: []byte("a/num")})
		if string(r.Payload) != "h /ace-group/{g} g=a/num" {
			t.Errorf("%q", r.Payload)
		}
	})
}

func TestMuxMistakesPanic(t *testing.T) {
	for name, f := range map[string]func(*endpoint.Mux){
		"no slash":   func(m *endpoint.Mux) { m.Handle("a", endpoint.AcceptPlain, echoRoute("")) },
		"no accept":  func(m *endpoint.Mux) { m.Handle("/a", 0, echoRoute("")) },
		"no handler": func(m *endpoint.Mux) { m.Handle("/a", endpoint.AcceptPlain, nil) },
		"open brace": func(m *endpoint.Mux) { m.Handle("/{a", endpoint.AcceptPlain, echoRoute("")) },
		"no name":    func(m *endpoint.Mux) { m.Handle("/{}", endpoint.AcceptPlain, echoRoute("")) },
		"rest first": func(m *endpoint.Mux) { m.Handle("/{a...}/b", endpoint.AcceptPlain, echoRoute("")) },
		"twice": func(m *endpoint.Mux) {
			m.Handle("/{a}", endpoint.AcceptPlain, echoRoute(""))
			m.Handle("/{b}", endpoint.AcceptPlain, echoRoute(""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("accepted")
				}
			}()
			f(endpoint.NewMux())
		})
	}
}

func TestMuxAccept(t *testing.T) {
	m := endpoint.NewMux()
	m.Handle("/plain", endpoint.AcceptPlain, echoRoute("h"))
	m.Handle("/oscore", endpoint.AcceptOSCORE, echoRoute("h"))
	m.Handle("/group", endpoint.AcceptGroup, echoRoute("h"))
	m.Handle("/methods", endpoint.AcceptPlain, endpoint.Methods{codes.GET: echoRoute("get"), 5: echoRoute("fetch")})
	m.Hints = func(path string) (message.MediaType, []byte) {
		if path != "/oscore" {
			return 0, nil
		}
		return message.AppCBOR, []byte{0xa0}
	}
	asked(t, m, func(t *testing.T, do func(codes.Code, string, endpoint.Protector, ...message.Option) *endpoint.Response) {
		sec := &toy{id: 2}
		for _, c := range []struct {
			path string
			sec  endpoint.Protector
			code codes.Code
		}{
			{"plain", nil, codes.Content}, {"plain", sec, codes.Forbidden},
			{"oscore", nil, codes.Unauthorized}, {"oscore", sec, codes.Content},
			{"group", nil, codes.Unauthorized}, {"group", sec, codes.Forbidden},
		} {
			r := do(codes.GET, c.path, c.sec)
			if r.Code != c.code {
				t.Errorf("%s %v: %v", c.path, c.sec != nil, r.Code)
			}
			if f, err := r.Options.ContentFormat(); (c.path == "oscore" && c.sec == nil) != (err == nil && f == message.AppCBOR && len(r.Payload) == 1) {
				t.Errorf("%s: hints %v %v %x", c.path, f, err, r.Payload)
			}
		}
		for code, want := range map[codes.Code]codes.Code{codes.GET: codes.Content, 5: codes.Content, codes.POST: codes.MethodNotAllowed} {
			if r := do(code, "methods", nil); r.Code != want {
				t.Errorf("%v: %v", code, r.Code)
			}
		}
	})
	m.NotFound = echoRoute("fallback")
	asked(t, m, func(t *testing.T, do func(codes.Code, string, endpoint.Protector, ...message.Option) *endpoint.Response) {
		if r := do(codes.GET, "nowhere", nil); string(r.Payload) != "fallback " {
			t.Errorf("%q", r.Payload)
		}
	})
}

func TestHandlerSurface(t *testing.T) {
	t.Run("a go-coap router works as handler", func(t *testing.T) {
		r := mux.NewRouter()
		if err := r.Handle("/x/{n}", echoRoute("router")); err != nil {
			t.Fatal(err)
		}
		asked(t, r, func(t *testing.T, do func(codes.Code, string, endpoint.Protector, ...message.Option) *endpoint.Response) {
			if r := do(codes.GET, "x/7", nil); string(r.Payload) != "router /x/{n} n=7" {
				t.Fatalf("%q", r.Payload)
			}
		})
	})
	t.Run("no handler at all is 4.04", func(t *testing.T) {
		asked(t, nil, func(t *testing.T, do func(codes.Code, string, endpoint.Protector, ...message.Option) *endpoint.Response) {
			if r := do(codes.GET, "x", nil); r.Code != codes.NotFound {
				t.Fatal(r.Code)
			}
		})
	})
	t.Run("O23 a handler may keep a hijacked message, and replace the response", func(t *testing.T) {
		var kept *pool.Message
		h := mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
			if kept == nil {
				r.Hijack()
				kept = r.Message
			}
			m := w.Conn().AcquireMessage(r.Context())
			m.SetCode(codes.Changed)
			m.SetBody(bytes.NewReader([]byte("new")))
			m.AddOptionBytes(message.ETag, []byte("etag"))
			w.SetMessage(m)
			if w.Message() != m {
				t.Error("not replaced")
			}
		})
		asked(t, h, func(t *testing.T, do func(codes.Code, string, endpoint.Protector, ...message.Option) *endpoint.Response) {
			for i := range 5 {
				path := string(rune('a' + i))
				r := do(codes.GET, path, nil)
				if etag, _ := r.Options.GetBytes(message.ETag); r.Code != codes.Changed || string(r.Payload) != "new" || string(etag) != "etag" {
					t.Fatalf("%+v", r)
				}
			}
			if p, err := kept.Path(); p != "/a" || err != nil {
				t.Fatalf("kept message is now %q %v", p, err)
			}
		})
	})
	t.Run("a body that cannot be read is 5.00", func(t *testing.T) {
		h := mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
			_ = w.SetResponse(codes.Content, message.TextPlain, badBody{})
		})
		asked(t, h, func(t *testing.T, do func(codes.Code, string, endpoint.Protector, ...message.Option) *endpoint.Response) {
			if r := do(codes.GET, "x", nil); r.Code != codes.InternalServerError {
				t.Fatal(r.Code)
			}
		})
	})
	t.Run("the connection names the peer, and refuses with an error what an endpoint does otherwise", func(t *testing.T) {
		closed := make(chan struct{})
		h := mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
			c, ctx := w.Conn(), r.Context()
			if c.RemoteAddr().String() != clientAddr.String() || c.NetConn() != nil || c.Sequence() != 0 || w.Conn() != c {
				t.Error("connection")
			}
			type key struct{}
			c.SetContextValue(key{}, "v")
			if c.Context().Value(key{}) != "v" {
				t.Error("context value")
			}
			if p, ok := endpoint.PeerFrom(c.Context()); !ok || p.Addr != clientAddr {
				t.Error("peer")
			}
			c.AddOnClose(func() { close(closed) })
			c.ReleaseMessage(c.AcquireMessage(ctx))
			select {
			case <-c.Done():
				t.Error("done")
			default:
			}
			one := func(_ any, err error) error { return err }
			for i, err := range []error{
				c.Close(), c.Ping(ctx), c.WriteMessage(nil), one(c.Do(nil)), one(c.Get(ctx, "")), one(c.Delete(ctx, "")),
				one(c.Post(ctx, "", 0, nil)), one(c.Put(ctx, "", 0, nil)), one(c.Observe(ctx, "", nil)), one(c.DoObserve(nil, nil)),
				one(c.NewGetRequest(ctx, "")), one(c.NewObserveRequest(ctx, "")), one(c.NewPutRequest(ctx, "", 0, nil)),
				one(c.NewPostRequest(ctx, "", 0, nil)), one(c.NewDeleteRequest(ctx, "")),
			} {
				if !errors.Is(err, endpoint.ErrConn) {
					t.Error(i, err)
				}
			}
		})
		synctest.Test(t, func(t *testing.T) {
			closed = make(chan struct{})
			n := netsim.New(netsim.Config{})
			server := start(t, endpoint.Config{Network: n, Unicast: serverAddr, Handler: h})
			peer := listenRaw(t, n, clientAddr)
			peer.send(serverAddr, get(t, con, 1, "x"))
			peer.next(time.Second)
			server.Close()
			<-closed
		})
	})
	if _, ok := endpoint.PeerFrom(context.Background()); ok {
		t.Error("a peer from nowhere")
	}
}

type badBody struct{}

func (badBody) Read([]byte) (int, error)       { return 0, io.ErrUnexpectedEOF }
func (badBody) Seek(int64, int) (int64, error) { return 10, nil }
