package member

import (
	"io"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/mux"
)

// unheard is the ResponseWriter of a monitor: it looks on and never answers, so
// what a handler has to say is dropped.
type unheard struct {
	mux.ResponseWriter
	m *pool.Message
}

func newUnheard(w mux.ResponseWriter) *unheard {
	return &unheard{w, pool.NewMessage(w.Message().Context())}
}

// SetResponse drops the response.
func (*unheard) SetResponse(codes.Code, message.MediaType, io.ReadSeeker, ...message.Option) error {
	return nil
}

// SetMessage drops the response.
func (u *unheard) SetMessage(m *pool.Message) { u.m = m }

// Message is a response that is dropped.
func (u *unheard) Message() *pool.Message { return u.m }
