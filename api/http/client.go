package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
)

// UnreachableError means that nothing answers on the socket.
type UnreachableError struct {
	Socket string
	Err    error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no Group Manager answers on %s: %v", e.Socket, e.Err)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Client calls a Group Manager over its operator's socket. Its methods return a
// *[Problem] for what the Group Manager refuses and an *[UnreachableError] when
// nothing answers. It is safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient makes a client for the socket. It does not connect.
func NewClient(socket string) *Client {
	return &Client{socket: socket, http: &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				c, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
				if err != nil {
					var op *net.OpError
					if errors.As(err, &op) {
						err = op.Err
					}
					return nil, &UnreachableError{socket, err}
				}
				return c, nil
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call makes one request. in is nil for no body, out for an answer without one.
func (c *Client) call(ctx context.Context, method string, path []string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	target := "http://groupmanager/v1"
	for _, segment := range path {
		target += "/" + url.PathEscape(segment)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", jsonType)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var u *UnreachableError
		if errors.As(err, &u) {
			return u
		}
		return fmt.Errorf("operator's channel: %w", errors.Unwrap(err))
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("operator's channel: %w", err)
	}
	if len(answer) > maxAnswer {
		return errors.New("operator's channel: the answer is too large")
	}
	mt, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if mt == problemType {
		p := new(Problem)
		if err := json.Unmarshal(answer, p); err != nil || p.Status == 0 {
			return fmt.Errorf("operator's channel: status %d with a broken problem", res.StatusCode)
		}
		return p
	}
	if out == nil && res.StatusCode == http.StatusNoContent {
		return nil
	}
	if mt != jsonType || out == nil {
		return fmt.Errorf("operator's channel: unexpected answer with status %d", res.StatusCode)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("operator's channel: %w", err)
	}
	return nil
}

// Health asks how the Group Manager is; an answer that says it is not ready is no error.
func (c *Client) Health(ctx context.Context) (h Health, err error) {
	err = c.call(ctx, http.MethodGet, []string{"health"}, nil, &h)
	return h, err
}

// Groups lists the groups.
func (c *Client) Groups(ctx context.Context) (g []Group, err error) {
	err = c.call(ctx, http.MethodGet, []string{"groups"}, nil, &g)
	return g, err
}

// CreateGroup makes a group.
func (c *Client) CreateGroup(ctx context.Context, spec GroupSpec) (g Group, err error) {
	err = c.call(ctx, http.MethodPost, []string{"groups"}, spec, &g)
	return g, err
}

// Group shows one group.
func (c *Client) Group(ctx context.Context, name string) (g Group, err error) {
	err = c.call(ctx, http.MethodGet, []string{"groups", name}, nil, &g)
	return g, err
}

// UpdateGroup changes a group.
func (c *Client) UpdateGroup(ctx context.Context, name string, u GroupUpdate) (g Group, err error) {
	err = c.call(ctx, http.MethodPatch, []string{"groups", name}, u, &g)
	return g, err
}

// DeleteGroup ends an inactive group.
func (c *Client) DeleteGroup(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, []string{"groups", name}, nil, nil)
}

// Keys shows the version and times of a group's keying material.
func (c *Client) Keys(ctx context.Context, group string) (k Keys, err error) {
	err = c.call(ctx, http.MethodGet, []string{"groups", group, "keys"}, nil, &k)
	return k, err
}

// Rekey gives a group new keying material and returns its version.
func (c *Client) Rekey(ctx context.Context, group string) (uint64, error) {
	var v Version
	err := c.call(ctx, http.MethodPost, []string{"groups", group, "rekey"}, nil, &v)
	return v.Version, err
}

// Invalidate evicts the members that have not shown to hold a group's newest
// keying material.
func (c *Client) Invalidate(ctx context.Context, group string) (v Invalidation, err error) {
	err = c.call(ctx, http.MethodPost, []string{"groups", group, "keys", "invalidate"}, nil, &v)
	return v, err
}

// Identities lists the key pairs of the Group Manager.
func (c *Client) Identities(ctx context.Context) (i []Identity, err error) {
	err = c.call(ctx, http.MethodGet, []string{"identities"}, nil, &i)
	return i, err
}

// RotateIdentity replaces one of them and rekeys the groups that it serves.
func (c *Client) RotateIdentity(ctx context.Context, name string) (v Rotation, err error) {
	err = c.call(ctx, http.MethodPost, []string{"identities", name, "rotate"}, nil, &v)
	return v, err
}

// Members lists the members of a group.
func (c *Client) Members(ctx context.Context, group string) (m []Member, err error) {
	err = c.call(ctx, http.MethodGet, []string{"groups", group, "members"}, nil, &m)
	return m, err
}

// Member shows one member of a group.
func (c *Client) Member(ctx context.Context, group, node string) (m Member, err error) {
	err = c.call(ctx, http.MethodGet, []string{"groups", group, "members", node}, nil, &m)
	return m, err
}

// Pending lists the members that have not shown to hold the newest keying material.
func (c *Client) Pending(ctx context.Context, group string) (p []Pending, err error) {
	err = c.call(ctx, http.MethodGet, []string{"groups", group, "pending"}, nil, &p)
	return p, err
}

// Evict ends a membership and returns the version of the others' new keying material.
func (c *Client) Evict(ctx context.Context, group, node string) (uint64, error) {
	var v Version
	err := c.call(ctx, http.MethodPost, []string{"groups", group, "members", node, "evict"}, nil, &v)
	return v.Version, err
}

// Devices lists the enrolled devices.
func (c *Client) Devices(ctx context.Context) (d []Device, err error) {
	err = c.call(ctx, http.MethodGet, []string{"devices"}, nil, &d)
	return d, err
}

// EnrolDevice enrols a device. The answer holds its secret.
func (c *Client) EnrolDevice(ctx context.Context, spec DeviceSpec) (e Enrolled, err error) {
	err = c.call(ctx, http.MethodPost, []string{"devices"}, spec, &e)
	return e, err
}

// Device shows one device.
func (c *Client) Device(ctx context.Context, name string) (d Device, err error) {
	err = c.call(ctx, http.MethodGet, []string{"devices", name}, nil, &d)
	return d, err
}

// RevokeDevice ends a device: it gets no more tokens and is put out of all its
// groups.
func (c *Client) RevokeDevice(ctx context.Context, name string) (v Revoked, err error) {
	err = c.call(ctx, http.MethodPost, []string{"devices", name, "revoke"}, nil, &v)
	return v, err
}

// ReenrolDevice gives a device a new secret, which the answer holds.
func (c *Client) ReenrolDevice(ctx context.Context, name string, how Reenrolment) (e Enrolled, err error) {
	err = c.call(ctx, http.MethodPost, []string{"devices", name, "reenrol"}, how, &e)
	return e, err
}
