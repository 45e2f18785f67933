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
// It is ace.Introspector and trust.Source, and safe for concurrent use.
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
)

// remoteAS is the association with one Authorization Server. Requests are made
// one after the other, as long as its context is not established.
type remoteAS struct {
	mu     sync.Mutex
	secret secret.Bytes // of which enrolment the context is derived
	guard  endpoint.Protector
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
	c.mu.Lock()
	ep, as := c.ep, c.as[issuer]
	if as == nil {
		as = &remoteAS{}
		c.as[issuer] = as
	}
	c.mu.Unlock()
	if ep == nil {
		return nil, fmt.Errorf("%w: no endpoint yet", errNoAS)
	}
	u, err := url.Parse(a.AS.URI)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAS, err)
	}
	if r.To, err = netip.ParseAddrPort(u.Host); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAS, err)
	}
	as.mu.Lock()
	defer as.mu.Unlock()
	for again := false; ; again = true {
		if as.guard == nil || again || !a.AS.Secret.Equal(as.secret) {
			b2, err := oscore.NewB2Client(a.AS.Params(), c.rand)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errNoAS, err)
			}
			as.guard, as.secret = endpoint.WithB2(b2, nil), a.AS.Secret
		}
		r.Security = as.guard
		resp, err := ep.Do(ctx, r)
		lost := err == nil && resp.Code == codes.Unauthorized
		var clear *endpoint.UnprotectedError
		if errors.As(err, &clear) && (clear.Code == codes.Unauthorized || clear.Code == codes.BadRequest) {
			lost = true
		}
		if lost && !again {
			continue
		}
		if err != nil {
			as.guard = nil
		}
		return resp, err
	}
}
