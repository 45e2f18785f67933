package ace

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	p := must(b.PostToken(context.Background(), here, post(b.token(nil))))
	a, _, err := b.Confirm(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	values := []any{b.ResourceServer, p, *a, a, a.Token, exampleKey(), TrustedAS{Key: exampleKey()}, b.cfg, Claims{Cnf: &Confirmation{OSC: &a.Token.Material}}}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
			s := strings.ToLower(fmt.Sprintf(verb, v))
			for _, secret := range []string{"a1a2a3a4", "161 162 163", "0xa1, 0xa2", "231f4c4d", "35 31 76", "0x23, 0x1f"} {
				if strings.Contains(s, secret) {
					t.Errorf("%T prints its secret with %s: %s", v, verb, s)
				}
			}
		}
	}
}
