package endpoint

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
)

// Accept says how requests to a resource may be protected: any of the bits.
type Accept uint8

// What a resource may accept.
const (
	AcceptPlain    Accept = 1 << Plain
	AcceptOSCORE   Accept = 1 << OSCORE
	AcceptGroup    Accept = 1 << GroupMode
	AcceptPairwise Accept = 1 << PairwiseMode
	// AcceptDTLS accepts what is unprotected itself but came by a DTLS session:
	// Peer.Identity says whose. AcceptPlain accepts it too.
	AcceptDTLS Accept = 1 << 7
)

// Mux finds the handler of a request by its path, and refuses what is not
// protected as the resource wants it. It is a mux.Handler. Handle comes before
// serving; after that a Mux is safe for concurrent use.
//
// Unlike go-coap's mux.Router, whose handlers it takes, it walks a tree of path
// segments and so costs the same with one resource or a thousand.
type Mux struct {
	// Hints gives the content format and payload of the 4.01 that answers an
	// unprotected request to a protected resource, such as AS Request
	// Creation Hints (RFC 9200, Section 5.3). It may be nil.
	Hints func(path string) (format message.MediaType, payload []byte)
	// NotFound serves requests to unknown paths. Default: 4.04.
	NotFound mux.Handler

	root  node
	links []Link // see Describe
}

type node struct {
	literal map[string]*node
	param   *node // any one segment
	rest    *route
	here    *route
}

type route struct {
	pattern string
	names   []string
	accept  Accept
	handler mux.Handler
}

// NewMux returns a Mux without resources.
func NewMux() *Mux { return &Mux{} }

// Handle serves the requests whose path matches a pattern. A pattern is a path
// such as "/ace-group/{group}/nodes/{node}": a segment in braces matches any one
// segment, and a last segment such as "{rest...}" matches any number of them,
// also none. Literal segments win over braces. What braces matched is found in
// the Vars of the request's RouteParams.
//
// It panics on a malformed or repeated pattern, an empty Accept and a nil
// handler: these are mistakes of the program.
func (m *Mux) Handle(pattern string, a Accept, h mux.Handler) {
	if h == nil || a == 0 {
		panic(fmt.Sprintf("endpoint: pattern %q has no handler or accepts nothing", pattern))
	}
	if !strings.HasPrefix(pattern, "/") {
		panic(fmt.Sprintf("endpoint: pattern %q does not begin with a slash", pattern))
	}
	r := &route{pattern: pattern, accept: a, handler: h}
	n := &m.root
	slot := &n.here
	segments := strings.Split(pattern[1:], "/")
	if pattern == "/" {
		segments = nil
	}
	for i, s := range segments {
		name, isParam := strings.CutPrefix(s, "{")
		if !isParam {
			n = n.child(s)
			slot = &n.here
			continue
		}
		name, closed := strings.CutSuffix(name, "}")
		name, isRest := strings.CutSuffix(name, "...")
		if !closed || name == "" || isRest && i != len(segments)-1 {
			panic(fmt.Sprintf("endpoint: pattern %q: segment %q", pattern, s))
		}
		r.names = append(r.names, name)
		if isRest {
			slot = &n.rest
			break
		}
		if n.param == nil {
			n.param = &node{}
		}
		n = n.param
		slot = &n.here
	}
	if *slot != nil {
		panic(fmt.Sprintf("endpoint: pattern %q is the same as %q", pattern, (*slot).pattern))
	}
	*slot = r
}

func (n *node) child(s string) *node {
	if n.literal == nil {
		n.literal = make(map[string]*node)
	}
	if n.literal[s] == nil {
		n.literal[s] = &node{}
	}
	return n.literal[s]
}

// find matches segments, depth first; vals are what braces matched so far.
func (n *node) find(path [][]byte, vals []string) (*route, []string) {
	if len(path) == 0 {
		if n.here != nil {
			return n.here, vals
		}
	} else {
		if c := n.literal[string(path[0])]; c != nil {
			if r, v := c.find(path[1:], vals); r != nil {
				return r, v
			}
		}
		if n.param != nil {
			if r, v := n.param.find(path[1:], append(vals, string(path[0]))); r != nil {
				return r, v
			}
		}
	}
	if n.rest != nil {
		return n.rest, append(vals, string(bytes.Join(path, []byte("/"))))
	}
	return nil, nil
}

// ServeCOAP implements mux.Handler.
func (m *Mux) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	var segments [8][]byte
	path := segments[:0]
	for _, o := range r.Options() {
		if o.ID == message.URIPath {
			path = append(path, o.Value)
		}
	}
	if len(path) == 1 && len(path[0]) == 0 {
		path = path[:0] // an empty Uri-Path is the root
	}
	rt, vals := m.root.find(path, nil)
	if rt == nil {
		if m.NotFound != nil {
			m.NotFound.ServeCOAP(w, r)
			return
		}
		respond(w, codes.NotFound)
		return
	}
	peer, _ := PeerFrom(r.Context())
	if rt.accept&(1<<peer.Mode) == 0 && !(rt.accept&AcceptDTLS != 0 && peer.Mode == Plain && peer.Via == ViaDTLS) {
		m.refuse(w, peer, joinPath(path))
		return
	}
	r.RouteParams.PathTemplate = rt.pattern
	if len(vals) > 0 {
		r.RouteParams.Path = joinPath(path)
		r.RouteParams.Vars = make(map[string]string, len(vals))
		for i, name := range rt.names {
			r.RouteParams.Vars[name] = vals[i]
		}
	}
	rt.handler.ServeCOAP(w, r)
}

// refuse answers a request that is not protected as the resource wants.
func (m *Mux) refuse(w mux.ResponseWriter, p Peer, path string) {
	if p.Mode != Plain {
		respond(w, codes.Forbidden)
		return
	}
	if m.Hints != nil {
		if format, payload := m.Hints(path); payload != nil {
			_ = w.SetResponse(codes.Unauthorized, format, bytes.NewReader(payload))
			return
		}
	}
	respond(w, codes.Unauthorized)
}

// respond sets an empty response. The writers of this package cannot fail.
func respond(w mux.ResponseWriter, c codes.Code) { _ = w.SetResponse(c, 0, nil) }

func joinPath(path [][]byte) string { return "/" + string(bytes.Join(path, []byte("/"))) }

// Methods is a handler that tells methods apart: the others are 4.05.
type Methods map[codes.Code]mux.Handler

// ServeCOAP implements mux.Handler.
func (h Methods) ServeCOAP(w mux.ResponseWriter, r *mux.Message) {
	if f := h[r.Code()]; f != nil {
		f.ServeCOAP(w, r)
		return
	}
	respond(w, codes.MethodNotAllowed)
}
