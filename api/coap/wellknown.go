package coap

import (
	"strings"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/manager"
)

// link is one entry of /.well-known/core.
type link struct {
	path       string
	ifs, types string // attributes if and rt; empty: absent
}

// wellKnown is /.well-known/core: where to post tokens, the root resource, and
// the groups that the caller's token names (RFC 6690; RFC 9594, Section 4.1;
// draft-ietf-ace-key-groupcomm-oscore-21, Section 8). Strangers are not told
// which groups there are.
func (s *Server) wellKnown() mux.Handler {
	return endpoint.Methods{codes.GET: mux.HandlerFunc(func(w mux.ResponseWriter, r *mux.Message) {
		links := []link{{path: "/" + manager.RootPath, ifs: "ace.groups"}, {path: "/authz-info", types: "ace.ai"}}
		peer, _ := endpoint.PeerFrom(r.Context())
		if ses, ok := peer.Association.(*session); ok {
			names, err := s.manager.GroupsOf(r.Context(), ses.caller(peer.Addr))
			if err != nil {
				s.refuse(w, r, err)
				return
			}
			for _, n := range names {
				links = append(links, link{path: "/" + manager.RootPath + "/" + n, ifs: "ace.group", types: "core.osc.gm"})
			}
		}
		var queries []string
		for _, o := range r.Options() {
			if o.ID == message.URIQuery {
				queries = append(queries, string(o.Value))
			}
		}
		var out []string
		for _, l := range links {
			if l.matches(queries) {
				out = append(out, l.String())
			}
		}
		s.send(w, codes.Content, message.AppLinkFormat, []byte(strings.Join(out, ",")))
	})}
}

// matches applies the filters of a query, all of them (RFC 6690, Section 4.1).
func (l link) matches(queries []string) bool {
	for _, q := range queries {
		name, want, _ := strings.Cut(q, "=")
		var got string
		switch name {
		case "href":
			got = l.path
		case "if":
			got = l.ifs
		case "rt":
			got = l.types
		}
		prefix, open := strings.CutSuffix(want, "*")
		if got == "" || open && !strings.HasPrefix(got, prefix) || !open && got != want {
			return false
		}
	}
	return true
}

// String gives the link in link format. Group names are segments of URIs already
// and hold no character that would end a link.
func (l link) String() string {
	s := "<" + l.path + ">"
	if l.ifs != "" {
		s += `;if="` + l.ifs + `"`
	}
	if l.types != "" {
		s += `;rt="` + l.types + `"`
	}
	return s
}
