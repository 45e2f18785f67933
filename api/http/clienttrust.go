package httpapi

import (
	"context"
	"net/http"
)

// Tokens lists the tokens that were issued and have not expired long ago.
func (c *Client) Tokens(ctx context.Context) (t []Token, err error) {
	err = c.call(ctx, http.MethodGet, []string{"tokens"}, nil, &t)
	return t, err
}

// InspectToken looks into the bytes of a token and says whether it would be taken.
func (c *Client) InspectToken(ctx context.Context, token []byte) (v TokenInspection, err error) {
	err = c.call(ctx, http.MethodPost, []string{"tokens", "inspect"}, tokenBytes{token}, &v)
	return v, err
}

// RevokeToken ends a token before its time, with the memberships that rest on it.
func (c *Client) RevokeToken(ctx context.Context, hash string) error {
	return c.call(ctx, http.MethodPost, []string{"tokens", hash, "revoke"}, nil, nil)
}

// AuthorizationServers lists the other Authorization Servers whose tokens are taken.
func (c *Client) AuthorizationServers(ctx context.Context) (a []TrustedAS, err error) {
	err = c.call(ctx, http.MethodGet, []string{"authorization-servers"}, nil, &a)
	return a, err
}

// AddAuthorizationServer takes the tokens of another Authorization Server from
// now on. The file is what it made for this Group Manager.
func (c *Client) AddAuthorizationServer(ctx context.Context, file EnrolmentFile) (a TrustedAS, err error) {
	err = c.call(ctx, http.MethodPost, []string{"authorization-servers"}, file, &a)
	return a, err
}

// RotateAuthorizationServer adds the new keys of one that is trusted already.
func (c *Client) RotateAuthorizationServer(ctx context.Context, issuer string, file EnrolmentFile) (a TrustedAS, err error) {
	err = c.call(ctx, http.MethodPost, []string{"authorization-servers", issuer, "rotate"}, file, &a)
	return a, err
}

// RemoveAuthorizationServer takes no token of it any more.
func (c *Client) RemoveAuthorizationServer(ctx context.Context, issuer string) error {
	return c.call(ctx, http.MethodDelete, []string{"authorization-servers", issuer}, nil, nil)
}

// ResourceServers lists the Group Managers that tokens are issued for.
func (c *Client) ResourceServers(ctx context.Context) (r []ResourceServer, err error) {
	err = c.call(ctx, http.MethodGet, []string{"resource-servers"}, nil, &r)
	return r, err
}

// EnrolResourceServer registers a Group Manager in another process. The answer
// holds its secrets.
func (c *Client) EnrolResourceServer(ctx context.Context, spec ResourceServerSpec) (f EnrolmentFile, err error) {
	err = c.call(ctx, http.MethodPost, []string{"resource-servers"}, spec, &f)
	return f, err
}

// RotateResourceServer makes a new token key. The answer holds it.
func (c *Client) RotateResourceServer(ctx context.Context, audience string) (f EnrolmentFile, err error) {
	err = c.call(ctx, http.MethodPost, []string{"resource-servers", audience, "rotate"}, nil, &f)
	return f, err
}

// RevokeResourceServer ends the association with a Group Manager.
func (c *Client) RevokeResourceServer(ctx context.Context, audience string) error {
	return c.call(ctx, http.MethodPost, []string{"resource-servers", audience, "revoke"}, nil, nil)
}
