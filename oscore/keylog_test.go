package oscore

import (
	"errors"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

func TestInsecureKeyLog(t *testing.T) {
	p := Params{MasterSecret: secret.Bytes("0123456789abcdef"), SenderID: []byte{1}, RecipientID: []byte{0xab}, IDContext: []byte{2}}
	var b strings.Builder
	if err := p.InsecureKeyLog(&b); err != nil {
		t.Fatal(err)
	}
	if want := `"01","ab","30313233343536373839616263646566","","02","AES-CCM-16-64-128 (CCM*)"` + "\n"; b.String() != want {
		t.Fatalf("%q", b.String())
	}
	for _, change := range []func(*Params){
		func(p *Params) { p.AEAD = cose.AlgChaCha20Poly1305 },
		func(p *Params) { p.HKDF = cose.AlgHMAC512 },
	} {
		q := p
		change(&q)
		if err := q.InsecureKeyLog(&b); !errors.Is(err, ErrKeyLog) {
			t.Fatal(err)
		}
	}
	if (Params{}).InsecureKeyLog(&b) == nil {
		t.Fatal("no context at all")
	}
}
