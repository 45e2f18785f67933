package coap

import (
	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/ace"
)

// hints are the AS Request Creation Hints in the 4.01 that answers a request in
// clear (RFC 9200, Section 5.3): where to get a token and for whom, nothing of
// what is here. With client-nonces each answer has one of its own.
func (s *Server) hints(c Config) func(path string) (message.MediaType, []byte) {
	h := ace.RequestCreationHints{AS: c.TokenURI, Audience: c.Audience}
	plain := h.Marshal()
	return func(string) (message.MediaType, []byte) {
		if c.CNonces == nil {
			return ace.ContentFormatACE, plain
		}
		h := h
		var err error
		if h.CNonce, err = c.CNonces.New(); err != nil {
			s.log.Error("no client-nonce", "error", err)
			return ace.ContentFormatACE, plain
		}
		return ace.ContentFormatACE, h.Marshal()
	}
}
