package endpoint

import (
	"context"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// Observable lets clients observe a resource with GET and FETCH (RFC 7641):
//
//	m.Handle("/temperature", endpoint.AcceptOSCORE, endpoint.Observable(handler))
//
// The handler need not know. When the state of the resource changes, call
// [Endpoint.Notify]: the handler then runs again for each observer, with its
// own request, and what it answers is the notification. An answer that is no
// success ends the observation; no answer at all leaves the observer alone.
//
// It does so by an Observe option in the response. A handler can as well decide
// by itself, and set an Observe option, of any value, in its response to a
// request that has one of value 0.
func Observable(h mux.Handler) mux.Handler {
	return mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		h.ServeCOAP(w, r)
		if !isSafe(r.Code()) {
			return
		}
		v, ok := coapmsg.Get(r.Options(), message.Observe)
		if value, err := coapmsg.DecodeUint(v); ok && err == nil && value == 0 && coapmsg.IsSuccess(w.Message().Code()) {
			w.Message().SetObserve(0)
		}
	})
}

// IsNotification says whether a handler runs for a notification, and not for a
// request that just came. It is called with the context of the request.
func IsNotification(ctx context.Context) bool {
	again, _ := ctx.Value(notificationKey{}).(bool)
	return again
}

type notificationKey struct{}
