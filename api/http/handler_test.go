package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/authserver"
	"github.com/cohort-iot/cohort/internal/manager"
)

// domain is a Group Manager and Authorization Server that remembers what it is asked.
type domain struct {
	groups  map[string]manager.GroupInfo
	devices map[string]Device
	actors  []string

	rotations uint64
	err       error // what every method returns, if set
	healthy   bool
	as        *authserver.Service // behind tokens and resource servers; may be nil
}

func newDomain() *domain {
	return &domain{groups: map[string]manager.GroupInfo{}, devices: map[string]Device{}, healthy: true}
}

func (d *domain) note(ctx context.Context) error {
	d.actors = append(d.actors, manager.ActorFrom(ctx))
	return d.err
}

var notFound = &manager.Error{Kind: manager.KindNotFound, Detail: "no such group", Err: errors.New("planted cause")}

func (d *domain) CreateGroup(ctx context.Context, s manager.GroupSpec) (manager.GroupInfo, error) {
	if err := d.note(ctx); err != nil {
		return manager.GroupInfo{}, err
	}
	g := manager.GroupInfo{Name: s.Name, Description: s.Description, State: manager.GroupActive, Config: s.Config.WithDefaults(), Gid: []byte{1, 2},
		Revision: 1, Created: time.Unix(1, 0).UTC(), Installed: time.Unix(2, 0).UTC(), Expires: time.Unix(3, 0).UTC()}
	if !s.Active {
		g.State = manager.GroupInactive
	}
	d.groups[s.Name] = g
	return g, nil
}

func (d *domain) Groups(ctx context.Context) (out []manager.GroupInfo, err error) {
	for _, g := range d.groups {
		out = append(out, g)
	}
	return out, d.note(ctx)
}

func (d *domain) Group(ctx context.Context, name string) (manager.GroupInfo, error) {
	if err := d.note(ctx); err != nil {
		return manager.GroupInfo{}, err
	}
	g, ok := d.groups[name]
	if !ok {
		return g, notFound
	}
	return g, nil
}

func (d *domain) DeleteGroup(ctx context.Context, name string) error {
	g, err := d.Group(ctx, name)
	if err == nil {
		if _, err = g.State.Next(manager.EventDelete); err == nil {
			delete(d.groups, name)
		}
	}
	return err
}

func (d *domain) UpdateGroup(ctx context.Context, name string, ch manager.GroupChange) (manager.GroupInfo, error) {
	g, err := d.Group(ctx, name)
	if err != nil {
		return g, err
	}
	if ch.Revision != 0 && ch.Revision != g.Revision {
		return g, &manager.Error{Kind: manager.KindConflict}
	}
	if ch.Active != nil {
		event := manager.EventDeactivate
		if *ch.Active {
			event = manager.EventActivate
		}
		if g.State, err = g.State.Next(event); err != nil {
			return g, err
		}
	}
	if ch.Description != nil {
		g.Description = *ch.Description
	}
	ch.Edit(&g.Config)
	g.Revision++
	d.groups[name] = g
	return g, nil
}

func (d *domain) Invalidate(ctx context.Context, name string) (int, error) {
	_, err := d.Rekey(ctx, name, manager.CauseInvalidated)
	return 3, err
}

func (d *domain) Identities(ctx context.Context) ([]manager.IdentityInfo, error) {
	return []manager.IdentityInfo{{Name: "EdDSA-Ed25519-kccs", Algorithm: cose.AlgEdDSA, Curve: cose.CurveEd25519, Format: cose.FormatCCS,
		Generation: d.rotations, Created: time.Unix(7, 0).UTC(), Credential: []byte{0xa1}, Groups: 2, Behind: 1}}, d.note(ctx)
}

func (d *domain) RotateIdentity(ctx context.Context, name string) (int, error) {
	if name != "EdDSA-Ed25519-kccs" {
		return 0, notFound
	}
	d.rotations++
	return 2, d.note(ctx)
}

func (d *domain) Rekey(ctx context.Context, name string, c manager.Cause) (uint64, error) {
	g, err := d.Group(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("rekey: %w", err)
	}
	g.Version++
	g.LastCause = c
	d.groups[name] = g
	return g.Version, nil
}

func (d *domain) Members(ctx context.Context, group string) ([]manager.MemberInfo, error) {
	if _, err := d.Group(ctx, group); err != nil {
		return nil, err
	}
	return []manager.MemberInfo{
		{Node: "n1", Roles: ace.RoleRequester, SenderID: []byte{7}, Credential: []byte{0xa0}, Client: "switch", Joined: time.Unix(5, 0).UTC(), Stage: manager.StageSent},
		{Node: "n2", Roles: ace.RoleMonitor, Client: "sniffer", Confirmed: true, Stage: manager.StageConfirmed},
	}, nil
}

func (d *domain) Member(ctx context.Context, group, node string) (manager.MemberInfo, error) {
	members, err := d.Members(ctx, group)
	for _, m := range members {
		if m.Node == node {
			return m, nil
		}
	}
	return manager.MemberInfo{}, errors.Join(err, notFound)
}

func (d *domain) Pending(ctx context.Context, group string) ([]manager.PendingMember, error) {
	if _, err := d.Group(ctx, group); err != nil {
		return nil, err
	}
	return []manager.PendingMember{{Node: "n1", Client: "switch", Stage: manager.StageSent, Attempts: 2, Reachable: true}}, nil
}

func (d *domain) Evict(ctx context.Context, group, node string, c manager.Cause) (uint64, error) {
	if node != "n1" || c != manager.CauseEviction {
		return 0, notFound
	}
	return d.Rekey(ctx, group, c)
}

var errNoDevice = fmt.Errorf("device: %w", authserver.ErrNotFound)

func (d *domain) Enrol(ctx context.Context, s DeviceSpec) (Enrolled, error) {
	if err := d.note(ctx); err != nil {
		return Enrolled{}, err
	}
	dev := Device{Name: s.Name, Groups: s.Groups, Enrolled: time.Unix(9, 0).UTC()}
	d.devices[s.Name] = dev
	return Enrolled{Device: dev, Enrolment: EnrolmentFile(`{"version":1,"secret":"c2VjcmV0"}`)}, nil
}

func (d *domain) Devices(ctx context.Context) (out []Device, err error) {
	for _, dev := range d.devices {
		out = append(out, dev)
	}
	return out, d.note(ctx)
}

func (d *domain) Device(ctx context.Context, name string) (Device, error) {
	dev, ok := d.devices[name]
	if !ok {
		return dev, errNoDevice
	}
	return dev, d.note(ctx)
}

func (d *domain) Revoke(ctx context.Context, name string) (Revoked, error) {
	dev, err := d.Device(ctx, name)
	if err == nil {
		dev.Revoked = true
		d.devices[name] = dev
	}
	return Revoked{Groups: 2}, err
}

func (d *domain) Reenrol(ctx context.Context, name string, how Reenrolment) (Enrolled, error) {
	dev, err := d.Device(ctx, name)
	if !how.KeepTokens {
		dev.Alarms++ // to be seen
	}
	return Enrolled{Device: dev, Enrolment: EnrolmentFile(`{"secret":"YW5ldw"}`)}, err
}

func (d *domain) config(log *slog.Logger) Config {
	return Config{Groups: d, Control: d, Members: d, Identities: d, Trusted: &trusted{map[string]*ace.RSEnrolment{}},
		Devices: d, Tokens: AuthServer{TokenRegistry: d.as}, ResourceServers: d.as, Log: log,
		Health: func(context.Context) Health {
			return Health{Ready: d.healthy, Version: "v1", Checks: map[string]string{"store": "ok"}}
		}}
}

func (d *domain) handler(t *testing.T, log *slog.Logger) http.Handler {
	t.Helper()
	h, err := New(d.config(log))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// client serves the domain and returns a client of it.
func (d *domain) client(t *testing.T) *Client {
	t.Helper()
	return d.clientOf(t, d.config(nil))
}

func (d *domain) clientOf(t *testing.T, cfg Config) *Client {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(tempDir(t), "run", "s")
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, context.Background(), ln, h, OwnerAndRoot(), nil) }()
	c := NewClient(path)
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func check[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestGroupsOverTheSocket(t *testing.T) {
	d := newDomain()
	c := d.client(t)
	ctx := t.Context()
	spec := GroupSpec{Name: "first floor/a b", Modes: "group", GidReuse: true, GidEpochs: 9}
	for member, v := range map[string]string{"signature": "es256", "key_lifetime": "2h", "backward_security": "true"} {
		if err := spec.Set(member, v); err != nil {
			t.Fatal(err)
		}
	}
	g := check[Group](t)(c.CreateGroup(ctx, spec))
	if g.Name != spec.Name || g.State != "active" || g.Modes != "group" || g.Signature != algorithm(cose.AlgES256) || !*g.BackwardSecurity || !g.GidReuse || g.GidEpochs != 9 ||
		time.Duration(g.KeyLifetime) != 2*time.Hour || g.Gid.String() != "0102" {
		t.Errorf("created %+v", g)
	}
	if got := d.groups[spec.Name].Config; got.Modes != manager.GroupModeOnly || got.Signature != cose.AlgES256 || got.KeyLifetime != 2*time.Hour {
		t.Errorf("the domain got %+v", got)
	}
	if diff := cmp.Diff([]Group{g}, check[[]Group](t)(c.Groups(ctx))); diff != "" {
		t.Errorf("list: %s", diff)
	}
	if diff := cmp.Diff(g, check[Group](t)(c.Group(ctx, spec.Name))); diff != "" {
		t.Errorf("show: %s", diff)
	}
	if v := check[uint64](t)(c.Rekey(ctx, spec.Name)); v != 1 {
		t.Errorf("version %d", v)
	}
	if k := check[Keys](t)(c.Keys(ctx, spec.Name)); k.Version != 1 || k.Cause != "operator" || k.Due != "" {
		t.Errorf("keys %+v", k)
	}
	var p *Problem
	if err := c.DeleteGroup(ctx, spec.Name); !errors.As(err, &p) || p.Status != http.StatusConflict || p.Kind != "active" || p.Hint == "" {
		t.Errorf("an active group: %v", err)
	}
	off := false
	if g := check[Group](t)(c.UpdateGroup(ctx, spec.Name, GroupUpdate{Active: &off})); g.State != "inactive" {
		t.Errorf("state %s", g.State)
	}
	if err := c.DeleteGroup(ctx, spec.Name); err != nil {
		t.Error(err)
	}
	if _, err := c.Group(ctx, spec.Name); !errors.As(err, &p) || p.Status != http.StatusNotFound || p.Detail != "no such group" {
		t.Errorf("after deletion: %v", err)
	}
	if want := fmt.Sprintf("uid:%d", os.Getuid()); d.actors[0] != want {
		t.Errorf("actor %q, want %q", d.actors[0], want)
	}
}

func TestMembersOverTheSocket(t *testing.T) {
	d := newDomain()
	c := d.client(t)
	ctx := t.Context()
	check[Group](t)(c.CreateGroup(ctx, GroupSpec{Name: "g"}))
	members := check[[]Member](t)(c.Members(ctx, "g"))
	if len(members) != 2 || members[0].SenderID.String() != "07" || members[0].Roles != "requester" || members[1].SenderID != nil {
		t.Errorf("members %+v", members)
	}
	if m := check[Member](t)(c.Member(ctx, "g", "n2")); m.Client != "sniffer" || !m.Confirmed {
		t.Errorf("member %+v", m)
	}
	if p := check[[]Pending](t)(c.Pending(ctx, "g")); len(p) != 1 || p[0] != (Pending{"n1", "switch", "sent", 2, true}) {
		t.Errorf("pending %+v", p)
	}
	if v := check[uint64](t)(c.Evict(ctx, "g", "n1")); v != 1 {
		t.Errorf("version %d", v)
	}
	for _, err := range []error{
		second(c.Member(ctx, "g", "n9")), second(c.Evict(ctx, "g", "n9")), second(c.Members(ctx, "none")), second(c.Pending(ctx, "none")),
	} {
		var p *Problem
		if !errors.As(err, &p) || p.Status != http.StatusNotFound {
			t.Errorf("error %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestDevicesOverTheSocket(t *testing.T) {
	d := newDomain()
	c := d.client(t)
	ctx := t.Context()
	if l := check[[]Device](t)(c.Devices(ctx)); l == nil || len(l) != 0 {
		t.Errorf("no devices are %v", l)
	}
	e := check[Enrolled](t)(c.EnrolDevice(ctx, DeviceSpec{Name: "switch", Groups: map[string]string{"lights": "requester"}}))
	if e.Device.Name != "switch" || !strings.Contains(string(e.Enrolment), "c2VjcmV0") {
		t.Errorf("enrolled %+v", e)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "file", e.Enrolment, "all", e)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q %x", e, e, e, e.Enrolment, e.Enrolment, e.Enrolment), log.String()} {
		if strings.Contains(text, "c2VjcmV0") || strings.Contains(text, "63325") {
			t.Errorf("the secret is printed: %s", text)
		}
	}
	if diff := cmp.Diff([]Device{e.Device}, check[[]Device](t)(c.Devices(ctx))); diff != "" {
		t.Error(diff)
	}
	for _, keep := range []bool{true, false} {
		again := check[Enrolled](t)(c.ReenrolDevice(ctx, "switch", Reenrolment{KeepTokens: keep}))
		if again.Device.Name != "switch" || !strings.Contains(string(again.Enrolment), "YW5ldw") || again.Device.Alarms == 0 != keep {
			t.Errorf("keep %v: enrolled anew %+v", keep, again)
		}
	}
	if v := check[Revoked](t)(c.RevokeDevice(ctx, "switch")); v.Groups != 2 {
		t.Errorf("put out of %d groups", v.Groups)
	}
	if dev := check[Device](t)(c.Device(ctx, "switch")); !dev.Revoked {
		t.Error("not revoked")
	}
	var p *Problem
	if _, err := c.RevokeDevice(ctx, "other"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("unknown device: %v", err)
	}
}

func TestHealthOverTheSocket(t *testing.T) {
	d := newDomain()
	c := d.client(t)
	if h := check[Health](t)(c.Health(t.Context())); !h.Ready || h.Checks["store"] != "ok" {
		t.Errorf("health %+v", h)
	}
	d.healthy = false
	if h := check[Health](t)(c.Health(t.Context())); h.Ready {
		t.Errorf("health %+v", h)
	}
}

func TestUnreachable(t *testing.T) {
	c := NewClient(filepath.Join(tempDir(t), "none"))
	var u *UnreachableError
	if _, err := c.Groups(t.Context()); !errors.As(err, &u) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	d := newDomain()
	h := d.handler(t, nil)
	d.CreateGroup(t.Context(), manager.GroupSpec{Name: "g", Active: true})
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		kind                     string
	}{
		{"unknown resource", "GET", "/v1/secrets", "", 404, "no-resource"},
		{"unknown version", "GET", "/v2/groups", "", 404, "no-resource"},
		{"root", "GET", "/", "", 404, "no-resource"},
		{"unclean path", "GET", "/v1//groups", "", 404, "no-resource"},
		{"way up", "GET", "/v1/groups/../devices", "", 404, "no-resource"},
		{"wrong method", "PUT", "/v1/groups", "{}", 405, "method"},
		{"wrong method for one", "POST", "/v1/groups/g", "{}", 405, "method"},
		{"malformed body", "POST", "/v1/groups", "{", 400, "malformed"},
		{"unknown member", "POST", "/v1/groups", `{"name":"x","secret":"y"}`, 400, "malformed"},
		{"unknown algorithm", "POST", "/v1/groups", `{"name":"x","signature":"ROT13"}`, 400, "malformed"},
		{"bad duration", "POST", "/v1/groups", `{"name":"x","key_lifetime":"soon"}`, 400, "malformed"},
		{"unknown modes", "POST", "/v1/groups", `{"name":"x","modes":"both"}`, 422, "configuration"},
		{"body where none is", "POST", "/v1/groups/g/rekey", `{"cause":"x"}`, 400, "malformed"},
		{"unknown update", "PATCH", "/v1/groups/g", `{"version":3}`, 400, "malformed"},
		{"illegal transition", "PATCH", "/v1/groups/g", `{"active":true}`, 409, "conflict"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "http://x"+c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var p Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != c.status || p.Status != c.status || p.Kind != c.kind {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if w.Code == 405 && w.Header().Get("Allow") == "" {
				t.Error("no Allow header")
			}
		})
	}
}

// TestEveryKindIsMapped also sees that causes stay inside.
func TestEveryKindIsMapped(t *testing.T) {
	var log strings.Builder
	d := newDomain()
	h := d.handler(t, slog.New(slog.NewTextHandler(&log, nil)))
	for _, k := range manager.Kinds() {
		if _, ok := kindAnswer(k); !ok {
			t.Errorf("%v has no answer", k)
		}
		d.err = fmt.Errorf("doing: %w", errors.Join(&manager.Error{Kind: k, Detail: "said", Err: errors.New("planted cause")},
			&manager.Error{Kind: k, Detail: "and so on"}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://x/v1/groups/g", nil))
		if w.Code < 400 || strings.Contains(w.Body.String(), "planted") {
			t.Errorf("%v: %d %s", k, w.Code, w.Body)
		}
		if w.Code < 500 && !strings.Contains(w.Body.String(), "said; and so on") {
			t.Errorf("%v: %s", k, w.Body)
		}
	}
	if _, ok := kindAnswer(255); ok {
		t.Error("an unknown kind has an answer")
	}
	if !strings.Contains(log.String(), "planted cause") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

func TestNewNeedsEveryDomain(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("accepted")
	}
}

// TestOddAnswers: what answers on the socket may be no Group Manager.
func TestOddAnswers(t *testing.T) {
	path := filepath.Join(tempDir(t), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	answers := map[string]string{
		"html":           "Content-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
		"broken problem": "Content-Type: application/problem+json\r\nContent-Length: 2\r\n\r\n{}",
		"broken json":    "Content-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
		"redirect":       "Location: http://other/\r\nContent-Length: 0\r\n\r\n",
	}
	for name, rest := range answers {
		t.Run(name, func(t *testing.T) {
			go func() {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				c.Read(make([]byte, 4096))
				io.WriteString(c, "HTTP/1.1 302 X\r\nConnection: close\r\n"+rest)
			}()
			c := NewClient(path)
			defer c.Close()
			if _, err := c.Groups(t.Context()); err == nil {
				t.Error("accepted")
			}
		})
	}
}
