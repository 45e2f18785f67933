package coap

import (
	"context"
	"iter"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/endpoint"
)

// watchTimeout bounds the query that comes before a registration.
const watchTimeout = 30 * time.Second

// Watch implements trust.Watcher: it observes the list of revoked tokens
// (RFC 9770, Section 6.3; RFC 7641). The context is established by a query first,
// as a registration cannot do that. When it is given up the observation ends,
// without a word to the server.
func (c *ASClient) Watch(ctx context.Context, issuer string, q trl.Query) iter.Seq2[*trl.Response, error] {
	return func(yield func(*trl.Response, error) bool) {
		asking, cancel := context.WithTimeout(ctx, watchTimeout)
		first, err := c.Query(asking, issuer, q)
		cancel()
		if !yield(first, err) || err != nil {
			return
		}
		ep, r, err := c.registration(issuer, q)
		if err != nil {
			yield(nil, err)
			return
		}
		under := r.Security.(*endpoint.B2Session)
		observing, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(under.Over(), stop)()
		for resp, err := range ep.Observe(observing, r) {
			var list *trl.Response
			if err == nil {
				list, err = listOf(issuer, resp)
			} else if under.Over().Err() != nil {
				err = endpoint.ErrGivenUp
			}
			if !yield(list, err) {
				return
			}
		}
	}
}

// registration makes the request that registers, under the present context.
func (c *ASClient) registration(issuer string, q trl.Query) (*endpoint.Endpoint, endpoint.Request, error) {
	r := endpoint.Request{Code: codes.GET, Query: q.Strings()}
	a, err := c.known.Association(issuer)
	if err != nil {
		return nil, r, err
	}
	ep, as, err := c.of(issuer)
	if err != nil {
		return nil, r, err
	}
	if r.To, err = addressOf(a); err != nil {
		return nil, r, err
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.context == nil {
		return nil, r, endpoint.ErrGivenUp
	}
	r.Path, r.Security = a.ListPath, as.context
	return ep, r, nil
}
