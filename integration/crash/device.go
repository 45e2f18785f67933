package crash

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// standing is what a device was told of its membership.
type standing uint8

const (
	out     standing = iota // told to be out, or never told to be in
	in                      // told to be in
	unknown                 // something was asked and not answered
)

// device speaks the protocol step by step. It never crashes, so it knows what it
// was told.
type device struct {
	w     *world
	name  string
	ep    *endpoint.Endpoint
	ctxs  *endpoint.Contexts
	enrol *ace.Enrolment
	key   *cose.PrivateKey
	cred  *cose.Credential

	token     *ace.TokenResponse
	challenge []byte // N_S
	gm        *oscore.Context

	mu    sync.Mutex
	is    standing
	node  string          // as told in the latest join response
	holds *holding        // the newest material it has
	had   map[uint64]bool // versions whose material it ever had
	born  uint64          // version under which it joined last
}

// holding is the material of one version, as a device has it.
type holding struct {
	key     groupcomm.KeyMaterial
	version uint64
	gm      []byte // credential of the Group Manager
}

var roles = ace.RoleRequester | ace.RoleResponder

func newDevice(ctx context.Context, w *world, name string) (*device, error) {
	d := &device{w: w, name: name, ctxs: &endpoint.Contexts{}, had: map[uint64]bool{}}
	var err error
	if d.enrol, err = w.enrol(ctx, name); err != nil {
		return nil, err
	}
	if d.key, err = cose.GenerateKey(cose.CurveEd25519, rand.Reader); err != nil {
		return nil, err
	}
	if d.cred, err = cose.NewCCS(name, d.key.Public()); err != nil {
		return nil, err
	}
	m := endpoint.NewMux()
	m.Handle("/rekey", endpoint.AcceptOSCORE, endpoint.Methods{
		codes.POST:   mux.HandlerFunc(d.rekeyed),
		codes.DELETE: mux.HandlerFunc(d.evicted),
	})
	d.ep, err = endpoint.New(endpoint.Config{
		Unicast: netip.MustParseAddrPort("127.0.0.1:0"), Handler: m, Openers: []endpoint.RequestOpener{d.ctxs},
		ACKTimeout: 100 * time.Millisecond, // so that requests of before a kill reach the process after it
	})
	if err != nil {
		return nil, err
	}
	w.addB2(name, d.enrol.AS.Params())
	return d, nil
}

// errRefused is a verified answer that was no success.
type errRefused struct {
	code codes.Code
	text string
}

func (e *errRefused) Error() string { return coapmsg.CodeString(e.code) + " " + e.text }

func (d *device) send(ctx context.Context, sec endpoint.Protector, code codes.Code, path string, format message.MediaType, body []byte) (*endpoint.Response, error) {
	r := endpoint.Request{To: d.w.relay.Front(), Code: code, Path: path, Payload: body, Security: sec}
	if body != nil {
		r.Options = message.Options{{ID: message.ContentFormat, Value: coapmsg.EncodeUint(uint32(format))}}
	}
	resp, err := d.ep.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	if !coapmsg.IsSuccess(resp.Code) {
		return nil, &errRefused{resp.Code, string(resp.Payload)}
	}
	return resp, nil
}

// ask asks the Group Manager, with a new association if the old one is gone.
func (d *device) ask(ctx context.Context, code codes.Code, path string, format message.MediaType, body func() ([]byte, error)) (*endpoint.Response, error) {
	for try := 0; ; try++ {
		if d.gm == nil {
			if err := d.associate(ctx); err != nil {
				return nil, err
			}
		}
		var payload []byte
		if body != nil {
			var err error
			if payload, err = body(); err != nil {
				return nil, err
			}
		}
		resp, err := d.send(ctx, endpoint.WithOSCORE(d.gm), code, path, format, payload)
		var clear *endpoint.UnprotectedError
		// 4.01: the association is gone. 4.00: and its identifier is another device's now.
		if errors.As(err, &clear) && (clear.Code == codes.Unauthorized || clear.Code == codes.BadRequest) && try < 3 {
			d.ctxs.RemoveOSCORE(d.gm)
			d.gm = nil
			continue
		}
		return resp, err
	}
}

// associate posts the access token, after getting one if there is none.
func (d *device) associate(ctx context.Context) error {
	if d.token == nil {
		if err := d.fetchToken(ctx); err != nil {
			return fmt.Errorf("token: %w", err)
		}
	}
	n1 := make([]byte, 8)
	_, _ = rand.Read(n1)
	id1, err := d.ctxs.NewRecipientID()
	if err != nil {
		return err
	}
	q := &ace.AuthzInfoRequest{AccessToken: d.token.AccessToken, Nonce1: n1, RecipientID: id1}
	resp, err := d.send(ctx, nil, codes.POST, "/authz-info", ace.ContentFormatACE, q.Marshal())
	if err != nil {
		return fmt.Errorf("authz-info: %w", err)
	}
	info, err := ace.ParseAuthzInfoResponse(resp.Payload)
	if err != nil {
		return err
	}
	p, err := d.token.Cnf.OSC.ClientContext(n1, info.Nonce2, id1, info.RecipientID)
	if err != nil {
		return err
	}
	c, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
	if err != nil {
		return err
	}
	if err := d.w.addAssociation(d.name, p); err != nil {
		return err
	}
	if err := d.ctxs.AddOSCORE(c, nil, nil); err != nil {
		return err
	}
	d.gm, d.challenge = c, info.Challenge
	return nil
}

func (d *device) fetchToken(ctx context.Context) error {
	q := &ace.TokenRequest{Audience: d.enrol.Audience, Scope: ace.Scope{{Group: groupName, Roles: roles}}, GrantType: ace.GrantClientCredentials}
	// Each time a new derivation: the server may have been killed since, and then
	// knows nothing of the one before.
	b2, err := oscore.NewB2Client(d.enrol.AS.Params(), rand.Reader)
	if err != nil {
		return err
	}
	resp, err := d.send(ctx, endpoint.WithB2(b2, nil), codes.POST, "/token", ace.ContentFormatACE, q.Marshal())
	if err != nil {
		return err
	}
	d.token, err = ace.ParseTokenResponse(resp.Payload)
	return err
}

// join joins the group, or joins again.
func (d *device) join(ctx context.Context) error {
	d.doubt()
	resp, err := d.ask(ctx, codes.POST, "/"+groupPath, ace.ContentFormatGroupcomm, func() ([]byte, error) {
		q := &groupcomm.JoinRequest{
			Entry: ace.ScopeEntry{Group: groupName, Roles: roles}, Nonce: make([]byte, 8), GetCreds: &groupcomm.CredsFilter{},
			Credential: d.cred.Bytes(), ControlURI: "coap:///rekey",
		}
		_, _ = rand.Read(q.Nonce)
		q.Scope = groupcomm.EncodeScope(q.Entry)
		var err error
		q.Evidence, err = groupcomm.SignEvidence(d.key, cose.AlgEdDSA, groupcomm.ClientPoP(q.Scope, d.challenge, q.Nonce))
		return q.Marshal(), err
	})
	if err != nil {
		return err
	}
	j, err := groupcomm.ParseJoinResponse(resp.Payload)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is, d.node, d.born = in, lastSegment(message.Message{Options: resp.Options}), j.Version
	return d.install(&holding{key: j.Key, version: j.Version, gm: j.KDC.Credential})
}

// leave leaves the group.
func (d *device) leave(ctx context.Context) error {
	node := d.doubt()
	if _, err := d.ask(ctx, codes.DELETE, "/"+groupPath+"/nodes/"+node, 0, nil); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is = out
	return nil
}

// renew gets a new Sender ID, and asks for which version it is: the answer does not
// say.
func (d *device) renew(ctx context.Context) error {
	node, err := d.askSenderID(ctx)
	if err != nil || node == "" {
		return err
	}
	_, err = d.refresh(ctx, node)
	return err
}

// askSenderID asks for a new Sender ID and returns the own node name, or follows a
// rekeying that comes instead.
func (d *device) askSenderID(ctx context.Context) (node string, err error) {
	d.mu.Lock()
	node = d.node
	d.mu.Unlock()
	resp, err := d.ask(ctx, codes.POST, "/"+groupPath+"/nodes/"+node, 0, nil)
	if err != nil {
		return "", err
	}
	r, err := groupcomm.ParseRenewal(resp.Payload)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Rekey != nil {
		return "", d.follow(r.Rekey)
	}
	if bytes.Equal(d.holds.key.SenderID, r.SenderID.SenderID) {
		return "", errors.New("a renewal gave the same Sender ID")
	}
	return node, nil
}

// refresh fetches the material and the Sender ID, and says whether the device is
// a member.
func (d *device) refresh(ctx context.Context, node string) (member bool, err error) {
	var k *groupcomm.KeyResponse
	var gm []byte
	for again := true; again; {
		before := k
		if k, err = d.material(ctx, node); k == nil || err != nil {
			return false, err
		}
		// The credential of the Group Manager is asked for between two answers of one version.
		if again = before == nil || before.Version != k.Version; again {
			if gm, err = d.managerCredential(ctx); gm == nil || err != nil {
				return false, err
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.node = node
	if d.holds != nil && d.holds.version > k.Version {
		return true, nil // a rekeying message was faster
	}
	return true, d.install(&holding{key: k.Key, version: k.Version, gm: gm})
}

// material fetches the current material; nil if the device is no member.
func (d *device) material(ctx context.Context, node string) (*groupcomm.KeyResponse, error) {
	resp, err := d.ask(ctx, codes.GET, "/"+groupPath+"/nodes/"+node, 0, nil)
	if forbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return groupcomm.ParseKeyResponse(resp.Payload)
}

// managerCredential fetches the credential of the Group Manager; nil if the device
// is no member.
func (d *device) managerCredential(ctx context.Context) ([]byte, error) {
	resp, err := d.ask(ctx, codes.GET, "/"+groupPath+"/kdc-cred", 0, nil)
	if forbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := groupcomm.ParseKDCCred(resp.Payload)
	if err != nil {
		return nil, err
	}
	return c.Credential, nil
}

func forbidden(err error) bool {
	var refused *errRefused
	return errors.As(err, &refused) && refused.code == codes.Forbidden
}

// staleSince asks which Sender IDs were given up since a version; nil when that is
// too long ago.
func (d *device) staleSince(ctx context.Context, v uint64) ([][]byte, error) {
	resp, err := d.ask(ctx, coapmsg.FETCH, "/"+groupPath+"/stale-sids", ace.ContentFormatCBOR, func() ([]byte, error) { return groupcomm.MarshalNum(v), nil })
	if err != nil {
		return nil, err
	}
	return groupcomm.ParseStaleSIDs(resp.Payload)
}

// doubt notes that the membership is in question until an answer comes.
func (d *device) doubt() (node string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.is = unknown
	return d.node
}

// rekeyed takes a rekeying message.
func (d *device) rekeyed(w mux.ResponseWriter, r *mux.Message) {
	b, _ := r.ReadBody()
	m, err := groupcomm.ParseRekeyMessage(b)
	if err != nil {
		_ = w.SetResponse(codes.BadRequest, 0, nil)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.follow(m); err != nil {
		d.w.fault(fmt.Errorf("%s: %w", d.name, err))
	}
	_ = w.SetResponse(codes.Changed, 0, nil)
}

// follow installs the next version; the Sender ID stays. One after that does not
// say all that changed in between: the device asks later. The caller holds mu.
func (d *device) follow(m *groupcomm.RekeyMessage) error {
	if d.holds == nil || m.Version != d.holds.version+1 {
		return nil
	}
	h := *d.holds
	if m.Config != nil {
		id := h.key.SenderID
		h.key = *m.Config
		h.key.SenderID = id
	}
	if m.KDCCredential != nil {
		h.gm = m.KDCCredential
	}
	h.key.MasterSecret, h.key.MasterSalt, h.key.Gid, h.version = m.MasterSecret, m.MasterSalt, m.Gid, m.Version
	return d.install(&h)
}

// install takes new material or a new Sender ID into use and speaks to the group
// at once, from sequence number 0. The caller holds mu.
func (d *device) install(h *holding) error {
	same := d.holds != nil && bytes.Equal(d.holds.key.Gid, h.key.Gid) && bytes.Equal(d.holds.key.SenderID, h.key.SenderID)
	d.holds = h
	d.had[h.version] = true
	if same {
		return nil
	}
	return d.w.speak(d, h)
}

func (d *device) evicted(w mux.ResponseWriter, _ *mux.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = w.SetResponse(codes.Deleted, 0, nil)
}
