package oracle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/oscore"
)

// ErrUnknown says that a protected message opens with none of the secrets.
var ErrUnknown = errors.New("no known secret opens the message")

// Direction says which end of a link sent a message.
type Direction uint8

// The directions.
const (
	FromDevice Direction = iota + 1
	FromServer
)

func (d Direction) other() Direction { return FromDevice + FromServer - d }

// Opened is a message that was opened.
type Opened struct {
	Who     string          // name of the association, or of the group
	Inner   message.Message // code, options and payload inside
	Request *Opened         // of a response
	Group   bool
	Again   bool // the same datagram content was seen before
}

// Oracle knows secrets and judges messages. It is not safe for concurrent use.
type Oracle struct {
	Ledger
	// ReassignedGids: a Gid may come back with another Master Secret.
	ReassignedGids bool

	associations map[string][]*keys // by identifier of either side
	derived      map[string]*derived
	groups       map[string]*group // by Gid, the latest
	versions     map[string]*group // by Gid and Master Secret
	open         map[exchange]*request
}

// derived are the one-time contexts of RFC 8613, Appendix B.2, of one device.
type derived struct {
	name   string
	params oscore.Params
	byID   map[string]*keys // by ID Context
}

// exchange names a request on its link.
type exchange struct {
	link  string
	by    Direction
	token string
}

// request is what must be known of a request to open its responses.
type request struct {
	keys     *keys
	derived  *derived
	kid, piv []byte
	opened   *Opened
}

// New makes an Oracle that knows nothing.
func New() *Oracle {
	return &Oracle{
		associations: map[string][]*keys{}, derived: map[string]*derived{}, groups: map[string]*group{}, versions: map[string]*group{},
		open: map[exchange]*request{},
	}
}

// AddAssociation makes the inputs of an OSCORE association known, as either side
// has them.
func (o *Oracle) AddAssociation(name string, p oscore.Params) error {
	k, err := newKeys(name, p.Clone())
	if err != nil {
		return err
	}
	for _, id := range [][]byte{p.SenderID, p.RecipientID} {
		o.associations[string(id)] = append(o.associations[string(id)], k)
	}
	return nil
}

// AddB2 makes the inputs known from which a device derives one-time contexts with
// a server by Appendix B.2; p is the device's.
func (o *Oracle) AddB2(name string, p oscore.Params) {
	o.derived[string(p.SenderID)] = &derived{name: name, params: p.Clone(), byID: map[string]*keys{}}
}

func (d *derived) keys(idContext []byte) (*keys, error) {
	if k := d.byID[string(idContext)]; k != nil {
		return k, nil
	}
	p := d.params
	p.IDContext = slices.Clone(idContext)
	k, err := newKeys(d.name+" with its Authorization Server", p)
	if err == nil {
		d.byID[string(idContext)] = k
	}
	return k, err
}

// Look judges a datagram that a link carried. It gives nil for what is not
// protected. An error is ErrReuse, or ErrUnknown.
func (o *Oracle) Look(link string, from Direction, datagram []byte, where string) (*Opened, error) {
	m, err := coapmsg.ParseDatagram(slices.Clone(datagram))
	if err != nil {
		return nil, nil // no CoAP message: nobody encrypted anything
	}
	v, n := coapmsg.FindOSCORE(m.Options)
	if n == 0 {
		return nil, nil
	}
	opt, err := coapmsg.ParseOSCOREOption(v)
	if err != nil || n > 1 {
		return nil, fmt.Errorf("%w: %s: the option cannot be read: %w", ErrUnknown, where, err)
	}
	where = fmt.Sprintf("%s (%v %x, option %x)", where, coapmsg.CodeString(m.Code), m.Token, v)
	switch {
	case opt.Group:
		return o.lookGroup(m, opt, where)
	case coapmsg.IsRequest(m.Code):
		return o.lookRequest(link, from, m, opt, where)
	}
	return o.lookResponse(link, from, m, opt, where)
}

func (o *Oracle) lookRequest(link string, from Direction, m message.Message, opt coapmsg.OSCOREOption, where string) (*Opened, error) {
	candidates := slices.Clone(o.associations[string(opt.KID)])
	d := o.derived[string(opt.KID)]
	if d != nil && opt.KIDContext != nil {
		if id, err := cborx.Bytes(opt.KIDContext); err == nil {
			k, err := d.keys(id)
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, k)
		}
	}
	for i := len(candidates) - 1; i >= 0; i-- {
		k := candidates[i]
		raw, nonce, plain, err := k.open(opt.KID, opt.KID, opt.PIV, opt.KID, opt.PIV, m.Payload)
		if err != nil {
			continue
		}
		r := &request{keys: k, derived: d, kid: opt.KID, piv: opt.PIV, opened: &Opened{Who: k.name}}
		if k.params.IDContext == nil {
			r.derived = nil
		}
		o.open[exchange{link, from, string(m.Token)}] = r
		return o.note(r.opened, raw.raw, nonce, m.Payload, plain, where)
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknown, where)
}

func (o *Oracle) lookResponse(link string, from Direction, m message.Message, opt coapmsg.OSCOREOption, where string) (*Opened, error) {
	r := o.open[exchange{link, from.other(), string(m.Token)}]
	if r == nil {
		return nil, fmt.Errorf("%w: %s: a response to nothing", ErrUnknown, where)
	}
	k := r.keys
	if r.derived != nil && opt.KIDContext != nil { // response #1: ID Context R2 || R1
		r2, err := cborx.Bytes(opt.KIDContext)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrUnknown, where, err)
		}
		if k, err = r.derived.keys(slices.Concat(r2, k.params.IDContext)); err != nil {
			return nil, err
		}
	}
	sender := k.params.SenderID
	if string(sender) == string(r.kid) {
		sender = k.params.RecipientID
	}
	id, piv := r.kid, r.piv
	if opt.PIV != nil {
		id, piv = sender, opt.PIV
	}
	raw, nonce, plain, err := k.open(sender, id, piv, r.kid, r.piv, m.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnknown, where, err)
	}
	return o.note(&Opened{Who: k.name, Request: r.opened}, raw.raw, nonce, m.Payload, plain, where)
}

func (o *Oracle) note(out *Opened, key, nonce, ciphertext, plain []byte, where string) (*Opened, error) {
	again, err := o.Note(key, nonce, ciphertext, where+" of "+out.Who)
	if err != nil {
		return nil, err
	}
	out.Again = again
	if len(plain) == 0 {
		return nil, fmt.Errorf("%s: the plaintext of %s is empty", where, out.Who)
	}
	out.Inner = message.Message{Code: codes.Code(plain[0])}
	if out.Inner.Options, out.Inner.Payload, err = coapmsg.ParseOptions(plain[1:]); err != nil {
		return nil, fmt.Errorf("%s: the plaintext of %s cannot be read: %w", where, out.Who, err)
	}
	return out, nil
}
