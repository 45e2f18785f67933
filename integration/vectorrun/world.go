package vectorrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/integration/vectorfile"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/oscore"
)

// endpoint is one member with a Security Context of its own, of either kind.
// Contexts keep what they received, so most checks take a fresh one.
type endpoint interface {
	// protectRequest omits the kid context where the recorded request does.
	protectRequest(m message.Message, mode, to string, o option) (message.Message, exchange, error)
	unprotectRequest(m message.Message) (message.Message, exchange, error)
	protectResponse(m message.Message, x exchange, want *vectorfile.Message, o option) (message.Message, error)
	unprotectResponse(m message.Message, x exchange) (message.Message, error)
}

// exchange is *oscore.Exchange or *grouposcore.Exchange.
type exchange any

// world makes endpoints from the parameters of a vector.
type world struct {
	params  *vectorfile.Params
	creds   *grouposcore.StaticCredentials
	private map[string]*cose.PrivateKey
	cred    map[string]*cose.Credential
}

func newWorld(p *vectorfile.Params) (*world, error) {
	w := &world{params: p, creds: new(grouposcore.StaticCredentials),
		private: map[string]*cose.PrivateKey{}, cred: map[string]*cose.Credential{}}
	if !p.Group {
		return w, nil
	}
	for _, m := range p.Members {
		cred, err := cose.ParseCredential(cose.FormatCCS, m.Credential)
		if err != nil {
			return nil, fmt.Errorf("credential of %s: %w", m.Name, err)
		}
		key, err := cose.NewPrivateKey(cred.PublicKey().Curve(), m.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("private key of %s: %w", m.Name, err)
		}
		w.cred[m.Name], w.private[m.Name] = cred, key
		w.creds.Set(m.ID, cred)
	}
	return w, nil
}

// endpoint makes a member whose first Sender Sequence Number is seq.
func (w *world) endpoint(name string, seq uint64) (endpoint, error) {
	numbers := oscore.NewSequence(seq)
	if err := numbers.Reserve(context.Background(), anyStore{}, 4); err != nil && !errors.Is(err, oscore.ErrSequenceExhausted) {
		return nil, err
	}
	if w.params.Group {
		return w.groupEndpoint(name, numbers)
	}
	return w.plainEndpoint(name, numbers)
}

// anyStore makes every reservation; the contexts end with the process.
type anyStore struct{}

func (anyStore) Reserve(context.Context, uint64) error { return nil }

func (w *world) groupEndpoint(name string, numbers *oscore.Sequence) (endpoint, error) {
	p, self := w.params, w.params.Member(name)
	form := cose.CountersignFive
	if p.FourElements {
		form = cose.CountersignFour
	}
	ctx, err := grouposcore.NewContext(grouposcore.Params{
		Gid: p.IDContext, MasterSecret: secret.Bytes(p.MasterSecret), MasterSalt: secret.Bytes(p.MasterSalt),
		HKDF: cose.Algorithm(p.HKDF), AEAD: cose.Algorithm(p.AEAD), KeyAgreement: cose.Algorithm(p.KeyAgreement),
		GroupEnc: cose.Algorithm(p.GroupEnc), Signature: cose.Algorithm(p.Signature),
		CredentialFormat: cose.FormatCCS, GMCredential: p.GMCredential, Countersign: form,
	}, grouposcore.Identity{
		SenderID: self.ID, Credential: w.cred[name], PrivateKey: w.private[name],
	}, numbers, w.creds)
	if err != nil {
		return nil, err
	}
	return &groupEndpoint{ctx: ctx, params: p}, nil
}

func (w *world) plainEndpoint(name string, numbers *oscore.Sequence) (endpoint, error) {
	p, self := w.params, w.params.Member(name)
	var peer vectorfile.Hex
	for _, m := range p.Members {
		if m.Name != name {
			peer = m.ID
		}
	}
	ctx, err := oscore.NewContext(oscore.Params{
		MasterSecret: secret.Bytes(p.MasterSecret), MasterSalt: secret.Bytes(p.MasterSalt),
		SenderID: self.ID, RecipientID: peer, IDContext: p.IDContext,
		AEAD: cose.Algorithm(p.AEAD), HKDF: cose.Algorithm(p.HKDF),
	}, numbers)
	if err != nil {
		return nil, err
	}
	return &plainEndpoint{ctx}, nil
}

// modeOf gives the mode by its name in a vector.
func modeOf(s string) grouposcore.Mode {
	if s == "group" {
		return grouposcore.GroupMode
	}
	return grouposcore.PairwiseMode
}

type groupEndpoint struct {
	ctx    *grouposcore.Context
	params *vectorfile.Params
}

func (e *groupEndpoint) protectRequest(m message.Message, mode, to string, _ option) (message.Message, exchange, error) {
	o := grouposcore.RequestOptions{Mode: modeOf(mode)}
	if o.Mode == grouposcore.PairwiseMode {
		peer := e.params.Member(to)
		if peer == nil {
			return message.Message{}, nil, errors.New("pairwise request without its target")
		}
		o.To = peer.ID
	}
	return unwrap(e.ctx.ProtectRequest(m, o))
}

func (e *groupEndpoint) unprotectRequest(m message.Message) (message.Message, exchange, error) {
	in, x, _, err := e.ctx.UnprotectRequest(m)
	return in, x, err
}

func (e *groupEndpoint) protectResponse(m message.Message, x exchange, want *vectorfile.Message, o option) (message.Message, error) {
	return e.ctx.ProtectResponse(m, x.(*grouposcore.Exchange), grouposcore.ResponseOptions{
		Mode: modeOf(want.Mode), PIV: o.PIV != nil, OmitKID: o.KID == nil, KIDContext: o.KIDContext != nil,
	})
}

func (e *groupEndpoint) unprotectResponse(m message.Message, x exchange) (message.Message, error) {
	in, _, err := e.ctx.UnprotectResponse(m, x.(*grouposcore.Exchange))
	return in, err
}

type plainEndpoint struct{ ctx *oscore.Context }

func (e *plainEndpoint) protectRequest(m message.Message, _, _ string, o option) (message.Message, exchange, error) {
	return unwrap(e.ctx.ProtectRequest(m, oscore.RequestOptions{OmitIDContext: o.KIDContext == nil}))
}

func (e *plainEndpoint) unprotectRequest(m message.Message) (message.Message, exchange, error) {
	return unwrap(e.ctx.UnprotectRequest(m))
}

func (e *plainEndpoint) protectResponse(m message.Message, x exchange, _ *vectorfile.Message, o option) (message.Message, error) {
	return e.ctx.ProtectResponse(m, x.(*oscore.Exchange), oscore.ResponseOptions{
		PIV: o.PIV != nil, KID: o.KID != nil, KIDContext: o.KIDContext != nil,
	})
}

func (e *plainEndpoint) unprotectResponse(m message.Message, x exchange) (message.Message, error) {
	return e.ctx.UnprotectResponse(m, x.(*oscore.Exchange))
}

// unwrap makes the exchange of either package an exchange.
func unwrap[X any](m message.Message, x X, err error) (message.Message, exchange, error) {
	return m, x, err
}

// receivers are the members that can open m: the target of a pairwise message,
// everybody but its sender otherwise; of a response the client alone.
func (w *world) receivers(m, request *vectorfile.Message) []string {
	if !m.Request {
		return []string{request.From}
	}
	if m.Mode == "pairwise" && m.To != "" {
		return []string{m.To}
	}
	var out []string
	for _, e := range w.params.Members {
		if e.Name != m.From && (m.Mode != "pairwise" || !bytes.Equal(e.ID, w.params.Member(m.From).ID)) {
			out = append(out, e.Name)
		}
	}
	return out
}
