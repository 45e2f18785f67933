package endpoint_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/internal/netsim"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// fleet is an OSCORE group: its material and the credentials of its members.
type fleet struct {
	t      testing.TB
	params grouposcore.Params
	creds  *grouposcore.StaticCredentials
	keys   map[string]*cose.PrivateKey
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	return &fleet{
		t: t, creds: &grouposcore.StaticCredentials{}, keys: map[string]*cose.PrivateKey{},
		params: grouposcore.Params{
			Gid: []byte{0xdd, 0x11}, MasterSecret: secret.Bytes("a secret of sixteen bytes or more"), HKDF: cose.AlgHMAC256,
			AEAD: cose.AlgAESCCM16_64_128, KeyAgreement: cose.AlgECDHSSHKDF256,
			GroupEnc: cose.AlgAESCCM16_64_128, Signature: cose.AlgEdDSA, GMCredential: []byte("group manager"),
		},
	}
}

// credential makes the key and credential of a member, once.
func (f *fleet) credential(id string) *cose.Credential {
	f.t.Helper()
	if f.keys[id] == nil {
		k, err := cose.GenerateKey(cose.CurveEd25519, rand.Reader)
		if err != nil {
			f.t.Fatal(err)
		}
		f.keys[id] = k
	}
	c, err := cose.NewCCS(id, f.keys[id].Public())
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// member makes the group of a member; change may alter its parameters.
func (f *fleet) member(id string, src grouposcore.CredentialSource, change func(*grouposcore.Params)) *grouposcore.Group {
	f.t.Helper()
	p := f.params
	if change != nil {
		change(&p)
	}
	cred := f.credential(id)
	f.creds.Set([]byte(id), cred)
	if src == nil {
		src = f.creds
	}
	ctx, err := grouposcore.NewContext(p, grouposcore.Identity{SenderID: []byte(id), Credential: cred, PrivateKey: f.keys[id]}, oscore.NewEphemeralSequence(), src)
	if err != nil {
		f.t.Fatal(err)
	}
	return grouposcore.NewGroup(ctx)
}

// lamp is a server of a group.
func lampHandler(name string) *endpoint.Mux {
	m := endpoint.NewMux()
	m.Handle("/light", endpoint.AcceptGroup|endpoint.AcceptPairwise, mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		p, _ := endpoint.PeerFrom(r.Context())
		body, _ := r.ReadBody()
		_ = w.SetResponse(codes.Changed, message.TextPlain, bytes.NewReader(fmt.Appendf(nil, "%s %s %s %v %s", name, p.SenderID, p.Credential.Subject(), p.Mode, body)))
	}))
	m.Handle("/plain", endpoint.AcceptPlain, mux.HandlerFunc(func(w mux.ResponseWriter, _ *mux.Message) {
		_ = w.SetResponse(codes.Content, message.TextPlain, bytes.NewReader([]byte(name)))
	}))
	return m
}

// collect gathers the responses by sender.
func collect(t testing.TB, e *endpoint.Endpoint, ctx context.Context, r endpoint.Request) map[string]*endpoint.Response {
	t.Helper()
	got := map[string]*endpoint.Response{}
	for resp, err := range e.DoMulticast(ctx, r) {
		if err != nil {
			t.Fatal(err)
		}
		if got[string(resp.Peer.SenderID)] != nil {
			t.Fatalf("two responses of %s", resp.Peer.SenderID)
		}
		got[string(resp.Peer.SenderID)] = resp
	}
	return got
}

// lamps starts three servers and a client in one group.
type scene struct {
	net    *netsim.Network
	fleet  *fleet
	client *endpoint.Endpoint
	group  *grouposcore.Group // of the client
	lamps  []*endpoint.Endpoint
	groups []*grouposcore.Group
	meters []*endpoint.Counters
	mine   *endpoint.Counters
	gauges []*gauge // at /gauge of each lamp

	handlers []*endpoint.Mux // of the lamps
}

func lampAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)}), 5683)
}

func newScene(t *testing.T, cfg endpoint.Config, opts endpoint.GroupOptions, change func(i int, p *grouposcore.Params)) *scene {
	s := &scene{net: netsim.New(netsim.Config{Delay: 5 * time.Millisecond}), fleet: newFleet(t), mine: &endpoint.Counters{}}
	s.group = s.fleet.member("c", nil, nil)
	for i := range 3 {
		id := fmt.Sprintf("s%d", i+1)
		g := s.fleet.member(id, nil, func(p *grouposcore.Params) {
			if change != nil {
				change(i, p)
			}
		})
		ctxs := &endpoint.Contexts{}
		ctxs.AddGroup(g, opts)
		c := cfg
		meter := &endpoint.Counters{}
		c.Network, c.Unicast, c.Groups = s.net, lampAddr(i), []endpoint.MulticastGroup{{Addr: groupAddr}}
		h, g2 := lampHandler(id), &gauge{state: id + " 0"}
		h.Handle("/gauge", endpoint.AcceptGroup|endpoint.AcceptPairwise|endpoint.AcceptPlain, endpoint.Observable(g2))
		s.gauges, s.handlers = append(s.gauges, g2), append(s.handlers, h)
		c.Handler, c.Openers, c.Meter = h, []endpoint.RequestOpener{ctxs}, meter
		s.lamps, s.groups, s.meters = append(s.lamps, start(t, c)), append(s.groups, g), append(s.meters, meter)
	}
	ctxs := &endpoint.Contexts{}
	ctxs.AddGroup(s.group, endpoint.GroupOptions{})
	s.client = start(t, endpoint.Config{Network: s.net, Unicast: clientAddr, Openers: []endpoint.RequestOpener{ctxs}, Meter: s.mine, InsecurePlainMulticast: cfg.InsecurePlainMulticast})
	return s
}

func (s *scene) request(path string) endpoint.Request {
	return endpoint.Request{To: groupAddr, Code: codes.POST, Path: path, Payload: []byte("on"), Security: endpoint.WithGroup(s.group)}
}
