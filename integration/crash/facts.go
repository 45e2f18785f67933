package crash

import (
	"crypto/sha256"
	"fmt"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/integration/oracle"
	"github.com/cohort-iot/cohort/internal/coapmsg"
)

// facts are what was given out, ever, to whomever.
type facts struct {
	reassigned bool // a Gid may come back, of another version

	gids     map[string]version // Gid -> its version; if reassigned, Gid and version
	versions map[uint64]string  // version -> its Gid
	senders  map[string]string  // Gid and Sender ID -> node
	nodes    map[string]string  // node -> client
	newest   uint64
}

// version is one version of the keying material.
type version struct {
	number uint64
	secret [sha256.Size]byte
}

func newFacts() *facts {
	return &facts{gids: map[string]version{}, versions: map[uint64]string{}, senders: map[string]string{}, nodes: map[string]string{}}
}

// key is what may be given out for one version only.
func (f *facts) key(gid []byte, number uint64) string {
	if f.reassigned {
		return fmt.Sprintf("%s/%d", gid, number)
	}
	return string(gid)
}

// material enters a version. secret is nil when it is not shown.
func (f *facts) material(gid []byte, number uint64, secret []byte) error {
	v := version{number: number}
	key := f.key(gid, number)
	if secret != nil {
		v.secret = sha256.Sum256(secret)
	}
	if old, ok := f.gids[key]; ok {
		if old.number != number {
			return fmt.Errorf("gid %x was given out for versions %d and %d", gid, old.number, number)
		}
		if old.secret != v.secret && secret != nil && old.secret != [sha256.Size]byte{} {
			return fmt.Errorf("version %d has two Master Secrets", number)
		}
		if secret == nil {
			v.secret = old.secret
		}
	}
	if old, ok := f.versions[number]; ok && old != string(gid) {
		return fmt.Errorf("version %d was given out with Gids %x and %x", number, old, gid)
	}
	f.gids[key], f.versions[number] = v, string(gid)
	f.newest = max(f.newest, number)
	return nil
}

// sender enters that a node has a Sender ID under a Gid; fresh says that it was
// just given it, which happens once.
func (f *facts) sender(gid []byte, number uint64, id []byte, node string, fresh bool) error {
	if id == nil {
		return nil
	}
	k := fmt.Sprintf("%x/%x", f.key(gid, number), id)
	old, ok := f.senders[k]
	switch {
	case ok && old != node:
		return fmt.Errorf("sender id %x under gid %x was given to nodes %s and %s", id, gid, old, node)
	case ok && fresh:
		return fmt.Errorf("sender id %x under gid %x was given to node %s twice", id, gid, node)
	}
	f.senders[k] = node
	return nil
}

// node enters whose a node name is.
func (f *facts) node(name, client string) error {
	if old, ok := f.nodes[name]; ok && old != client {
		return fmt.Errorf("node name %s was given to %s and %s", name, old, client)
	}
	f.nodes[name] = client
	return nil
}

// see enters what an opened message of the Group Manager hands out: join
// responses, keying material and rekeying messages.
func (f *facts) see(o *oracle.Opened, client string) error {
	if o == nil || o.Again || o.Group {
		return nil
	}
	m := o.Inner
	switch {
	case o.Request == nil && m.Code == codes.POST && path(m) == "rekey":
		r, err := groupcomm.ParseRekeyMessage(m.Payload)
		if err != nil {
			return fmt.Errorf("rekeying message: %w", err)
		}
		return f.material(r.Gid, r.Version, r.MasterSecret)
	case o.Request == nil || path(o.Request.Inner) != groupPath:
		return nil
	case o.Request.Inner.Code == codes.POST && coapmsg.IsSuccess(m.Code):
		j, err := groupcomm.ParseJoinResponse(m.Payload)
		if err != nil {
			return fmt.Errorf("join response: %w", err)
		}
		node := lastSegment(m)
		return first(f.material(j.Key.Gid, j.Version, j.Key.MasterSecret), f.sender(j.Key.Gid, j.Version, j.Key.SenderID, node, true), f.node(node, client))
	case o.Request.Inner.Code == codes.GET && m.Code == codes.Content:
		k, err := groupcomm.ParseKeyResponse(m.Payload)
		if err != nil {
			return fmt.Errorf("key response: %w", err)
		}
		return f.material(k.Key.Gid, k.Version, k.Key.MasterSecret)
	}
	return nil
}

const (
	groupName = "g1"
	groupPath = "ace-group/" + groupName
)

func path(m message.Message) string {
	p, err := coapmsg.Path(m.Options, message.URIPath)
	if err != nil {
		return ""
	}
	for len(p) > 0 && p[0] == '/' {
		p = p[1:]
	}
	return p
}

func lastSegment(m message.Message) (last string) {
	for _, o := range m.Options {
		if o.ID == message.LocationPath {
			last = string(o.Value)
		}
	}
	return last
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
