package endpoint_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cohort-iot/cohort/endpoint"
)

func TestURIs(t *testing.T) {
	addr := netip.MustParseAddrPort
	for uri, want := range map[string]endpoint.Request{
		"coap://192.0.2.1":                      {To: addr("192.0.2.1:5683")},
		"coap://192.0.2.1:61616/":               {To: addr("192.0.2.1:61616")},
		"coaps://192.0.2.1/a/b":                 {To: addr("192.0.2.1:5684"), Via: endpoint.ViaDTLS, Path: "a/b"},
		"COAP+TCP://192.0.2.1/a?x=1&y":          {To: addr("192.0.2.1:5683"), Via: endpoint.ViaTCP, Path: "a", Query: []string{"x=1", "y"}},
		"coap://[2001:db8::1]:1/%C3%BC/?%26":    {To: addr("[2001:db8::1]:1"), Path: "\u00fc/", Query: []string{"&"}},
		"coap://[fe80::1%25eth0]/x":             {To: addr("[fe80::1%eth0]:5683"), Path: "x"},
		"coap://[::ffff:192.0.2.1]/.well-known": {To: addr("192.0.2.1:5683"), Path: ".well-known"},
	} {
		t.Run(uri, func(t *testing.T) {
			var r endpoint.Request
			if err := r.SetURI(uri); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, r, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(endpoint.Request{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
				t.Fatal(d)
			}
		})
	}
	for _, uri := range []string{
		"", "a", "coap:", "coap://", "http://192.0.2.1/", "coap+ws://192.0.2.1/", "coap://name/", "coap://192.0.2.1:0/", "coap://192.0.2.1:65536/",
		"coap://192.0.2.1:x/", "coap://192.0.2.1/a%2Fb", "coap://192.0.2.1/%zz", "coap://192.0.2.1/#f", "coap://u@192.0.2.1/",
	} {
		t.Run("refused: "+uri, func(t *testing.T) {
			r := endpoint.Request{To: addr("192.0.2.9:9")}
			if err := r.SetURI(uri); !errors.Is(err, endpoint.ErrRequest) || r.To != addr("192.0.2.9:9") {
				t.Fatal(r, err)
			}
		})
	}
	if endpoint.ViaTCP.String() != "coap+tcp" || endpoint.Via(9).String() != "via(9)" {
		t.Fatal("names")
	}
}
