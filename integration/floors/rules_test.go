package floors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const goCoAP = "github.com/plgd-dev/go-coap/v3/"

// rule forbids some packages to others. A pattern that ends in /... covers the
// package before it and everything below; ... alone covers all.
type rule struct {
	from   []string // packages of the module, by their path inside it
	except []string
	to     []string // import paths; those of the module start with ./
	deep   bool     // not even through other packages
	why    string
}

var rules = []rule{
	{
		from: []string{"keystore/..."},
		to: []string{"./cose/...", "./internal/coapmsg/...", "./oscore/...", "./grouposcore/...", "./ace/...", "./edhoc/...", "./endpoint/...",
			goCoAP + "..."},
		deep: true, why: "the store knows keys, bytes and blocks, no protocol",
	},
	{from: []string{"oscore/..."}, to: []string{"./grouposcore/..."}, deep: true, why: "the core does not know what is built on it"},
	{from: []string{"grouposcore/..."}, to: []string{"./ace/..."}, deep: true, why: "message protection does not know who hands out the keys"},
	{
		from: []string{"internal/manager/...", "internal/authserver/..."},
		to:   []string{"./api/...", "./endpoint/...", "net/http", "go.etcd.io/bbolt", goCoAP + "net", goCoAP + "mux"},
		deep: true, why: "a domain has no sockets and no storage engine",
	},
	{
		from: []string{"internal/manager/...", "internal/authserver/...", "oscore/...", "grouposcore/...", "ace/...", "cose/...", "internal/coapmsg/..."},
		to:   []string{"net"},
		why:  "no sockets here",
	},
	{from: []string{"ace/..."}, to: []string{"./keystore/..."}, deep: true, why: "stores are ports of ace"},
	{from: []string{"..."}, to: []string{"./cmd/groupmanager/...", "./cmd/member/..."}, why: "commands are wired, never imported"},
	{
		from: []string{"..."}, except: []string{"integration/...", "bench/...", "conformance/..."},
		to:  []string{"./internal/netsim/...", "./integration/..."},
		why: "test tools are for tests",
	},
	{
		from: []string{"..."}, except: []string{"endpoint/...", "bench/..."}, // which compares
		to:  []string{goCoAP + "tcp/...", goCoAP + "udp/...", goCoAP + "dtls/..."},
		why: "the endpoint owns the transports",
	},
	{
		from: []string{"member/...", "oscore/...", "grouposcore/..."},
		to: []string{"github.com/spf13/cobra/...", "go.yaml.in/yaml/v3/...", "github.com/prometheus/...", "go.etcd.io/bbolt/...",
			"net/http/..."},
		deep: true, why: "this is what a device compiles",
	},
	{
		from: []string{"..."}, except: []string{"cmd/...", "integration/...", "bench/...", "keystore/..."},
		to:  []string{"./keystore/boltstore/...", "./keystore/filestore/..."},
		why: "only commands build concrete stores",
	},
	{
		from: []string{"..."}, except: []string{"cmd/...", "integration/...", "bench/..."},
		to:  []string{"github.com/spf13/cobra/...", "go.yaml.in/yaml/v3/..."},
		why: "flags and files are the business of commands",
	},
	{
		from: []string{"internal/ccm", "internal/replay", "internal/clock", "internal/secret", "internal/cborx"},
		to:   []string{goCoAP + "...", "github.com/veraison/...", "golang.org/x/crypto/...", "github.com/cloudflare/...", "go.etcd.io/..."},
		deep: true, why: "floor 0 is the standard library and cbor",
	},
}

// matches reports whether the import path is covered by one of the patterns.
func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if p == "..." {
			return true
		}
		if rest, ok := strings.CutPrefix(p, "./"); ok {
			p = module + "/" + rest
		}
		base, all := strings.CutSuffix(p, "/...")
		return path == base || all && strings.HasPrefix(path, base+"/")
	})
}

// broken returns how the package breaks the rule.
func (r rule) broken(path string, p pkg) []string {
	in := func(patterns []string) bool { return matches(patterns, path) }
	if !in(r.from) || in(r.except) {
		return nil
	}
	imports := p.Imports
	if r.deep {
		imports = p.Deps
	}
	var out []string
	for _, imp := range imports {
		if matches(r.to, imp) {
			out = append(out, fmt.Sprintf("%s must not import %s: %s", path, imp, r.why))
		}
	}
	return out
}

func TestForbiddenImports(t *testing.T) {
	for _, p := range own(t) {
		path, _ := p.local()
		for _, r := range rules {
			for _, fault := range r.broken(path, p) {
				t.Error(fault)
			}
		}
	}
}

func TestForbiddenImportsAreSeen(t *testing.T) {
	for _, c := range []struct {
		path string
		p    pkg
		want bool
	}{
		{"keystore/boltstore", pkg{Deps: []string{module + "/cose"}}, true},
		{"keystore/boltstore", pkg{Deps: []string{module + "/internal/secret", "go.etcd.io/bbolt"}}, false},
		{"oscore", pkg{Deps: []string{module + "/grouposcore"}}, true},
		{"grouposcore", pkg{Deps: []string{module + "/ace/groupcomm"}}, true},
		{"internal/manager", pkg{Deps: []string{"net/http"}}, true},
		{"internal/manager", pkg{Deps: []string{module + "/endpoint"}}, true},
		{"internal/authserver", pkg{Deps: []string{"go.etcd.io/bbolt"}}, true},
		{"api/http", pkg{Imports: []string{module + "/cmd/groupmanager"}}, true},
		{"api/http", pkg{Imports: []string{"net/http"}}, false},
		{"api/coap", pkg{Imports: []string{goCoAP + "udp"}}, true},
		{"api/coap", pkg{Imports: []string{goCoAP + "udp/client"}}, true},
		{"api/coap", pkg{Imports: []string{goCoAP + "mux"}}, false},
		{"endpoint", pkg{Imports: []string{goCoAP + "udp/coder"}}, false},
		{"member", pkg{Deps: []string{"net/http"}}, true},
		{"member", pkg{Deps: []string{"github.com/spf13/cobra"}}, true},
		{"oscore", pkg{Deps: []string{"go.yaml.in/yaml/v3"}}, true},
		{"grouposcore", pkg{Deps: []string{"github.com/prometheus/client_golang/prometheus"}}, true},
		{"member", pkg{Deps: []string{"go.etcd.io/bbolt"}}, true},
		{"member", pkg{Imports: []string{module + "/keystore/filestore"}}, true},
		{"cmd/member", pkg{Imports: []string{module + "/keystore/filestore", "github.com/spf13/cobra"}}, false},
		{"oscore", pkg{Imports: []string{"net"}}, true},
		{"oscore", pkg{Imports: []string{"net/netip"}}, false},
		{"internal/ccm", pkg{Deps: []string{"golang.org/x/crypto/chacha20"}}, true},
	} {
		seen := false
		for _, r := range rules {
			seen = seen || len(r.broken(c.path, c.p)) > 0
		}
		if seen != c.want {
			t.Errorf("%s importing %v%v: seen %v", c.path, c.p.Imports, c.p.Deps, seen)
		}
	}
}
