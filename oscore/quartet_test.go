package oscore

import (
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

func TestQuartet(t *testing.T) {
	base := testParams()
	base.IDContext = []byte("ctx")
	of := func(p Params) [QuartetSize]byte { return must(NewContext(p, NewEphemeralSequence()))(t).Quartet() }
	t.Run("OS-3.3-1 the same four make the same quartet", func(t *testing.T) {
		p := base.Clone()
		p.RecipientID, p.ReplayWindow, p.AEAD, p.HKDF = []byte("x"), 64, cose.AlgA128GCM, cose.AlgHMAC512
		equal(t, of(p), of(base))
	})
	for name, change := range map[string]func(*Params){
		"Master Secret":     func(p *Params) { p.MasterSecret[0] ^= 1 },
		"Master Salt":       func(p *Params) { p.MasterSalt[0] ^= 1 },
		"ID Context":        func(p *Params) { p.IDContext = []byte("ctX") },
		"no ID Context":     func(p *Params) { p.IDContext = nil },
		"an empty one":      func(p *Params) { p.IDContext = []byte{} },
		"another Sender ID": func(p *Params) { p.SenderID = []byte{2} },
	} {
		t.Run("OS-3.3-1 another quartet: "+name, func(t *testing.T) {
			p := base.Clone()
			change(&p)
			if of(p) == of(base) {
				t.Fatal("the same")
			}
		})
	}
	t.Run("OS-3.3-1 a Sender ID that is the Recipient ID makes no context", func(t *testing.T) {
		p := base.Clone()
		p.SenderID = p.RecipientID
		_, err := NewContext(p, NewEphemeralSequence())
		wantErr(t, err, ErrParams)
	})
	t.Run("OS-3.3-1,OS-B.2-11 the two sides of a context have different ones", func(t *testing.T) {
		client, server := pair(t, base)
		if client.Quartet() == server.Quartet() {
			t.Fatal("the same")
		}
	})
}
