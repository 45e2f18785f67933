package coap

import (
	"bytes"
	"log/slog"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
)

// responder reads bodies and sets responses.
type responder struct {
	log *slog.Logger
}

// body reads the payload and checks its Content-Format; it answers 4.15 and
// reports false when that is another one.
func (s *responder) body(w mux.ResponseWriter, r *mux.Message, format message.MediaType) ([]byte, bool) {
	if got, err := r.ContentFormat(); err == nil && format != 0 && got != format {
		s.send(w, codes.UnsupportedMediaType, 0, nil)
		return nil, false
	}
	if r.Body() == nil {
		return nil, true
	}
	b, err := r.ReadBody()
	if err != nil {
		s.send(w, codes.BadRequest, 0, nil)
		return nil, false
	}
	return b, true
}

// send sets a response; without a body the format is not used.
func (s *responder) send(w mux.ResponseWriter, code codes.Code, format message.MediaType, body []byte, opts ...message.Option) {
	var err error
	if body == nil {
		err = w.SetResponse(code, 0, nil, opts...)
	} else {
		err = w.SetResponse(code, format, bytes.NewReader(body), opts...)
	}
	if err != nil {
		s.log.Error("response not set", "error", err)
	}
}

// fault answers 5.00.
func (s *responder) fault(w mux.ResponseWriter, r *mux.Message, err error) {
	s.log.ErrorContext(r.Context(), "request failed", "path", path(r), "error", err)
	s.send(w, codes.InternalServerError, 0, nil)
}
