package endpoint

import (
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// ErrorsToGroups has errors of a resource sent in answer to group requests, if
// the client is authenticated and asks for them by a No-Response option that
// leaves their class (RFC 7967). For any other resource errors to group requests
// are never sent, and a No-Response option can only suppress more
// (draft-ietf-core-groupcomm-bis, Sections 3.1.2 and 6.5).
func ErrorsToGroups(h mux.Handler) mux.Handler {
	return mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		if rw, ok := w.(*responseWriter); ok {
			rw.toGroups = true
		}
		h.ServeCOAP(w, r)
	})
}

// asksFor says whether a request has a No-Response option that leaves responses
// of the class of a code.
func asksFor(opts message.Options, code codes.Code) bool {
	class := code >> 5
	return coapmsg.Has(opts, coapmsg.NoResponse) && class > 0 && !suppresses(opts, 1<<(class-1))
}
