package endpoint

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
)

// handle runs the handler for a request. toGroups says that its errors may be
// sent in answer to group requests. present is false if it set no
// response; notifying says that it runs for a notification. A panic becomes 5.00, as one resource must not end the others.
func (e *Endpoint) handle(m message.Message, p Peer, notifying bool) (resp message.Message, present, toGroups bool) {
	if e.cfg.Handler == nil {
		return message.Message{Code: codes.NotFound}, true, false
	}
	c := &call{}
	c.ctx = requestContext{Context: e.ctx, peer: p, notifying: notifying}
	req := e.requests.AcquireMessage(&c.ctx)
	req.SetMessage(m)
	c.w = responseWriter{e: e, ctx: &c.ctx, resp: e.messages.AcquireMessage(&c.ctx)}
	c.r = mux.Message{Message: req, RouteParams: &c.params}
	defer func() {
		if v := recover(); v != nil {
			e.cfg.Log.Error("handler panicked", "panic", v, "stack", string(debug.Stack()))
			resp, present = message.Message{Code: codes.InternalServerError}, true
			return // the messages may still be in use: leave them to the collector
		}
		c.w.release(req)
	}()
	e.cfg.Handler.ServeCOAP(&c.w, &c.r)
	resp, err := c.w.response()
	if err != nil {
		e.cfg.Log.Error("response body cannot be read", "error", err)
		return message.Message{Code: codes.InternalServerError}, true, false
	}
	return resp, resp.Code != codes.Empty, c.w.toGroups
}

// call is what one request needs, in one piece of memory.
type call struct {
	ctx    requestContext
	w      responseWriter
	r      mux.Message
	params mux.RouteParams
}

// responseWriter is the mux.ResponseWriter of one request.
type responseWriter struct {
	e    *Endpoint
	ctx  *requestContext
	resp *pool.Message
	conn *conn

	toGroups bool // see ErrorsToGroups
}

// SetResponse sets code, options and body. The content format is not used
// without a body.
func (w *responseWriter) SetResponse(code codes.Code, format message.MediaType, body io.ReadSeeker, opts ...message.Option) error {
	w.resp.SetCode(code)
	w.resp.ResetOptionsTo(opts)
	w.resp.SetBody(body)
	if body != nil {
		w.resp.SetContentFormat(format)
	}
	return nil
}

// Conn returns what stands for the peer; see conn.
func (w *responseWriter) Conn() mux.Conn {
	if w.conn == nil {
		w.conn = &conn{e: w.e, ctx: w.ctx, peer: w.ctx.peer.Addr, via: w.ctx.peer.Via}
	}
	return w.conn
}

// Message gives access to the response.
func (w *responseWriter) Message() *pool.Message { return w.resp }

// SetMessage replaces the response. Token, type and Message ID of it are not
// used.
func (w *responseWriter) SetMessage(m *pool.Message) {
	w.e.messages.ReleaseMessage(w.resp)
	w.resp = m
}

// response copies out what the handler left.
func (w *responseWriter) response() (message.Message, error) {
	m := message.Message{Code: w.resp.Code()}
	if opts := w.resp.Options(); len(opts) > 0 {
		m.Options = make(message.Options, len(opts))
		size := 0
		for _, o := range opts {
			size += len(o.Value)
		}
		values := make([]byte, 0, size)
		for i, o := range opts {
			values = append(values, o.Value...)
			m.Options[i] = message.Option{ID: o.ID, Value: values[len(values)-len(o.Value) : len(values) : len(values)]}
		}
	}
	body, err := w.resp.ReadBody()
	if err != nil {
		return m, fmt.Errorf("response body: %w", err)
	}
	m.Payload = body
	return m, nil
}

// release returns request and response to their pools, unless the handler keeps
// them. A request does not take its options along: they are not of the pool.
func (w *responseWriter) release(req *pool.Message) {
	if !req.IsHijacked() {
		req.SetMessage(message.Message{})
		w.e.requests.ReleaseMessage(req)
	}
	if w.resp != nil && !w.resp.IsHijacked() {
		w.e.messages.ReleaseMessage(w.resp)
	}
}
