package ace

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// exiMemory is an ExiStore for tests.
type exiMemory struct {
	all   []ExiIssuer
	saves int
	fail  error
}

func (m *exiMemory) LoadExi() ([]ExiIssuer, error) { return m.all, m.fail }

func (m *exiMemory) SaveExi(_ context.Context, all []ExiIssuer) error {
	if m.fail != nil {
		return m.fail
	}
	m.all = all
	m.saves++
	return nil
}

// exiBench is a bench that takes tokens with exi.
func exiBench(t *testing.T, change func(*RSConfig)) (*bench, *exiMemory) {
	t.Helper()
	m := &exiMemory{}
	return newBench(t, func(c *RSConfig) {
		c.Exi = must(NewExiTable(c.Clock, m, 8))
		if change != nil {
			change(c)
		}
	}), m
}

// exiToken is a token of a number that lives for a minute from its arrival.
func (b *bench) exiToken(number uint64) []byte {
	return b.token(func(c *Claims) { c.ID, c.Exi = ExiID("gm1", number), 60 })
}

func TestExi(t *testing.T) {
	t.Parallel()
	post := func(t *testing.T, b *bench, token []byte) *Token {
		t.Helper()
		p, err := b.PostToken(t.Context(), here, post(token))
		if err != nil {
			t.Fatal(err)
		}
		return &p.Token
	}
	t.Run("AC-090,AC-102 the time of a token begins when it is first verified, not when it is posted again", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		token := b.exiToken(1)
		if end := post(t, b, token).Expires; !end.Equal(exampleTime.Add(time.Minute)) {
			t.Fatal(end)
		}
		b.clock.Advance(30 * time.Second)
		if end := post(t, b, token).Expires; !end.Equal(exampleTime.Add(time.Minute)) {
			t.Fatal(end)
		}
		b.clock.Advance(30 * time.Second)
		err := b.judged(token)
		wantCode(t, err, codes.Unauthorized)
		wantErr(t, err, ErrExiExpired)
	})
	t.Run("the earlier of exp and exi counts", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		token := b.token(func(c *Claims) { c.ID, c.Exi, c.Expires = ExiID("gm1", 1), 60, exampleTime.Add(time.Second) })
		if end := post(t, b, token).Expires; !end.Equal(exampleTime.Add(time.Second)) {
			t.Fatal(end)
		}
		if end := post(t, b, b.token(func(c *Claims) { c.ID, c.Exi, c.Expires = ExiID("gm1", 2), 60, time.Time{} })).Expires; !end.Equal(exampleTime.Add(time.Minute)) {
			t.Fatal(end)
		}
	})
	t.Run("AC-101,AC-149 once a token has expired, lower numbers count as expired too", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		three, five := b.exiToken(3), b.exiToken(5)
		post(t, b, five)
		b.clock.Advance(time.Minute)
		b.cfg.Exi.Expunge()
		if _, known := b.cfg.Exi.Number("coap://as.example.com", HashToken(five)); known {
			t.Fatal("still on the list")
		}
		for _, token := range [][]byte{three, five, b.exiToken(4)} {
			wantCode(t, b.judged(token), codes.Unauthorized)
		}
		post(t, b, b.exiToken(6))
	})
	t.Run("one that is known and still runs stays, whatever expires after it", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		long := b.token(func(c *Claims) { c.ID, c.Exi = ExiID("gm1", 1), 600 })
		post(t, b, long)
		post(t, b, b.exiToken(2))
		b.clock.Advance(time.Minute)
		wantCode(t, b.judged(b.exiToken(2)), codes.Unauthorized)
		post(t, b, long)
	})
	t.Run("AC-150 a restart prolongs nothing", func(t *testing.T) {
		t.Parallel()
		b, m := exiBench(t, nil)
		one, two := b.exiToken(1), b.exiToken(2)
		post(t, b, one)
		b.clock.Advance(time.Minute)
		post(t, b, two)
		for range 2 {
			if err := b.cfg.Exi.Save(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if m.saves != 1 {
			t.Fatal("written without need", m.saves)
		}
		b.clock.Advance(30 * time.Second)
		again := newBench(t, func(c *RSConfig) { c.Clock = b.clock; c.Exi = must(NewExiTable(b.clock, m, 8)) })
		wantCode(t, again.judged(one), codes.Unauthorized)
		p := must(again.PostToken(t.Context(), here, (&AuthzInfoRequest{AccessToken: two, Nonce1: vectorN1, RecipientID: vectorID1}).Marshal()))
		if !p.Token.Expires.Equal(exampleTime.Add(2 * time.Minute)) {
			t.Fatal(p.Token.Expires)
		}
	})
	t.Run("what could not be written is written again, and what cannot be read ends the start", func(t *testing.T) {
		t.Parallel()
		b, m := exiBench(t, nil)
		post(t, b, b.exiToken(1))
		m.fail = errors.New("disk")
		if err := b.cfg.Exi.Save(t.Context()); err == nil {
			t.Fatal("no error")
		}
		if _, err := NewExiTable(b.clock, m, 0); err == nil {
			t.Fatal("no error")
		}
		m.fail = nil
		if err := b.cfg.Exi.Save(t.Context()); err != nil || m.saves != 1 {
			t.Fatal(m.saves, err)
		}
	})
	t.Run("AC-100 the claim cti names the resource server and a number", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		wantBytes(t, ExiID("gm1", 7), "676d31 0000000000000007")
		for _, cti := range [][]byte{nil, []byte("gm1"), ExiID("gm2", 1), ExiID("gm1", 0), append(ExiID("gm1", 1), 0)} {
			wantCode(t, b.judged(b.token(func(c *Claims) { c.ID, c.Exi = cti, 60 })), codes.BadRequest)
		}
		post(t, b, b.token(func(c *Claims) { c.ID, c.Exi = []byte("gm1\x01"), 60 }))
	})
	t.Run("two tokens of one number are not taken, nor more than there is room for", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		post(t, b, b.exiToken(1))
		wantCode(t, b.judged(b.exiToken(1)), codes.Unauthorized)
		for n := range uint64(7) {
			post(t, b, b.exiToken(n+2))
		}
		wantCode(t, b.judged(b.exiToken(9)), codes.ServiceUnavailable)
	})
	t.Run("AC-081 without the mechanism such tokens are refused", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nil)
		wantCode(t, b.judged(b.exiToken(1)), codes.BadRequest)
	})
	t.Run("AC-102 without a clock exp and nbf say nothing, and exi is needed", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, func(c *RSConfig) { c.NoClock = true })
		token := b.token(func(c *Claims) {
			c.ID, c.Exi, c.Expires, c.NotBefore = ExiID("gm1", 1), 60, exampleTime.Add(-time.Hour), exampleTime.Add(time.Hour)
		})
		if end := post(t, b, token).Expires; !end.Equal(exampleTime.Add(time.Minute)) {
			t.Fatal(end)
		}
		wantCode(t, b.judged(b.token(nil)), codes.BadRequest)
		cfg := b.cfg
		cfg.Exi = nil
		if cfg.Validate() == nil {
			t.Fatal("accepted")
		}
	})
	t.Run("TR-RS-07 a number can be raised from outside", func(t *testing.T) {
		t.Parallel()
		b, m := exiBench(t, nil)
		b.cfg.Exi.Raise("coap://as.example.com", 5)
		b.cfg.Exi.Raise("coap://as.example.com", 4)
		wantCode(t, b.judged(b.exiToken(5)), codes.Unauthorized)
		post(t, b, b.exiToken(6))
		if err := b.cfg.Exi.Save(t.Context()); err != nil || m.all[0].Expired != 5 {
			t.Fatal(m.all, err)
		}
	})
	t.Run("TR-RS-11 of a revoked token the number is told", func(t *testing.T) {
		t.Parallel()
		b, _ := exiBench(t, nil)
		token := b.exiToken(3)
		b.revoked[HashToken(token)] = true
		wantCode(t, b.judged(token), codes.Unauthorized)
		if len(b.seen) != 1 || b.seen[0].Number != 3 || b.seen[0].Hash != HashToken(token) || b.seen[0].Issuer != "coap://as.example.com" || b.seen[0].Expires.IsZero() {
			t.Fatalf("%+v", b.seen)
		}
	})
}
