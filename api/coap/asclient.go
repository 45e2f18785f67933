package coap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/trl"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/internal/trust"
	"github.com/cohort-iot/cohort/oscore"
)

// Associations says how Authorization Servers are asked. *trust.Service
// implements it.
type Associations interface {
	Association(issuer string) (*trust.Association, error)
}

// ASClient asks Authorization Servers that are other processes: about tokens, and
// for their lists of revoked ones. Each is asked over OSCORE with a context that
// this process derives from the secret of the enrolment (RFC 8613, Appendix B.2).
// It is ace.Introspector, trust.Source and trust.Watcher, and safe for concurrent
// use.
type ASClient struct {
	known Associations
	rand  io.Reader

	mu sync.Mutex
	ep *endpoint.Endpoint
	as map[string]*remoteAS // by issuer
}

var (
	_ ace.Introspector = (*ASClient)(nil)
	_ trust.Source     = (*ASClient)(nil)
	_ trust.Watcher    = (*ASClient)(nil)
)

// remoteAS is the association with one Authorization Server. Requests are made
// one after the other, as long as its context is not established.
type remoteAS struct {
	mu      sync.Mutex
	secret  secret.Bytes        // of which enrolment the context is derived
	context *endpoint.B2Session // nil: none
}

// NewASClient makes an ASClient. Attach must follow before it asks anybody.
func NewASClient(known Associations, random io.Reader) *ASClient {
	return &ASClient{known: known, rand: random, as: map[string]*remoteAS{}}
}

// Attach gives the endpoint that requests are sent from.
func (c *ASClient) Attach(ep *endpoint.Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ep = ep
}

// errNoAS says that an Authorization Server cannot be asked.
var errNoAS = errors.New("the authorization server cannot be asked")

// Introspect implements ace.Introspector.
func (c *ASClient) Introspect(ctx context.Context, issuer string, token []byte) (*ace.IntrospectionResponse, error) {
	a, err := c.known.Association(issuer)
	if err != nil {
		return nil, err
	}
	if a.IntrospectPath == "" {
		return nil, fmt.Errorf("%w: %q offers no introspection", errNoAS, issuer)
	}
	resp, err := c.do(ctx, issuer, a, endpoint.Request{
		Code: codes.POST, Path: a.IntrospectPath, Payload: (&ace.IntrospectionRequest{Token: token}).Marshal(),
		Options: message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(ace.ContentFormatACE))}},
	})
	if err != nil {
		return nil, err
	}
	if resp.Code != codes.Created {
		return nil, fmt.Errorf("%w: %q answers %s to introspection", errNoAS, issuer, coapmsg.CodeString(resp.Code))
	}
	return ace.ParseIntrospectionResponse(resp.Payload)
}

// Query implements trust.Source.
func (c *ASClient) Query(ctx context.Context, issuer string, q trl.Query) (*trl.Response, error) {
	a, err := c.known.Association(issuer)
	if err != nil {
		return nil, err
	}
	if a.ListPath == "" {
		return nil, fmt.Errorf("%w: %q offers no list of revoked tokens", errNoAS, issuer)
	}
	resp, err := c.do(ctx, issuer, a, endpoint.Request{Code: codes.GET, Path: a.ListPath, Query: q.Strings()})
	if err != nil {
		return nil, err
	}
	return listOf(issuer, resp)
}

// listOf reads what a server says of its list of revoked tokens.
func listOf(issuer string, resp *endpoint.Response) (*trl.Response, error) {
	if resp.Code == codes.Content {
		return trl.ParseResponse(resp.Payload)
	}
	if p, ok, err := trl.ParseProblem(resp.Payload); err == nil && ok {
		return nil, p
	}
	return nil, fmt.Errorf("%w: %q answers %s to a query of revoked tokens", errNoAS, issuer, coapmsg.CodeString(resp.Code))
}

// do makes one request. If the server has lost the context, another one is
// derived, once.
func (c *ASClient) do(ctx context.Context, issuer string, a *trust.Association, r endpoint.Request) (*endpoint.Response, error) {
	ep, as, err := c.of(issuer)
	if err != nil {
		return nil, err
	}
	if r.To, err = addressOf(a); err != nil {
		return nil, err
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	for again := false; ; again = true {
		if as.context == nil || again || !a.AS.Secret.Equal(as.secret) {
			if err := as.derive(a, c.rand); err != nil {
				return nil, err
			}
		}
		r.Security = as.context
		resp, err := ep.Do(ctx, r)
		if again || !as.context.Lost(resp, err) {
			return resp, err
		}
	}
}

// of returns what is known of an Authorization Server.
func (c *ASClient) of(issuer string) (*endpoint.Endpoint, *remoteAS, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	as := c.as[issuer]
	if as == nil {
		as = &remoteAS{}
		c.as[issuer] = as
	}
	if c.ep == nil {
		return nil, nil, fmt.Errorf("%w: no endpoint yet", errNoAS)
	}
	return c.ep, as, nil
}

// addressOf returns where an Authorization Server is.
func addressOf(a *trust.Association) (netip.AddrPort, error) {
	u, err := url.Parse(a.AS.URI)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errNoAS, err)
	}
	to, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		return to, fmt.Errorf("%w: %w", errNoAS, err)
	}
	return to, nil
}

// derive takes up a new context.
func (as *remoteAS) derive(a *trust.Association, random io.Reader) error {
	as.drop()
	b2, err := oscore.NewB2Client(a.AS.Params(), random)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoAS, err)
	}
	as.context, as.secret = endpoint.NewB2Session(b2), a.AS.Secret.Bytes()
	return nil
}

func (as *remoteAS) drop() {
	if as.context != nil {
		as.context.GiveUp()
		as.context = nil
	}
}
