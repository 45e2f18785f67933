package ace

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/internal/clock"
)

func TestClientNonces(t *testing.T) {
	t.Parallel()
	t.Run("AC-014 a value is known again while it is fresh, and no other is", func(t *testing.T) {
		t.Parallel()
		c := clock.NewFake(exampleTime)
		n := must(NewClientNonces(c, rand.Reader, time.Minute))
		c.Advance(10 * time.Hour)
		one, two := must(n.New()), must(n.New())
		if bytes.Equal(one, two) || !n.Fresh(one) || !n.Fresh(two) {
			t.Fatalf("%x %x", one, two)
		}
		for i := range one {
			bad := bytes.Clone(one)
			bad[i] ^= 1
			if n.Fresh(bad) {
				t.Fatalf("byte %d changed: fresh", i)
			}
		}
		if n.Fresh(nil) || n.Fresh(one[:15]) || n.Fresh(append(one, 0)) || n.Fresh(make([]byte, cnonceSize)) {
			t.Fatal("something else is fresh")
		}
		c.Advance(time.Minute)
		if !n.Fresh(one) {
			t.Fatal("stale too early")
		}
		c.Advance(time.Second)
		if n.Fresh(one) {
			t.Fatal("fresh for ever")
		}
	})
	t.Run("after a restart those of before are stale", func(t *testing.T) {
		t.Parallel()
		c := clock.NewFake(exampleTime)
		one := must(must(NewClientNonces(c, rand.Reader, 0)).New())
		if must(NewClientNonces(c, rand.Reader, 0)).Fresh(one) {
			t.Fatal("fresh")
		}
	})
	t.Run("AC-017,AC-018 where the mechanism is used a token without a fresh cnonce is answered 4.01", func(t *testing.T) {
		t.Parallel()
		var n *ClientNonces
		b := newBench(t, func(c *RSConfig) {
			n = must(NewClientNonces(c.Clock, rand.Reader, time.Minute))
			c.CNonces = n
		})
		fresh := must(n.New())
		for name, value := range map[string][]byte{"absent": nil, "another": []byte("something")} {
			err := b.judged(b.token(func(c *Claims) { c.CNonce = value }))
			if err == nil {
				t.Fatal(name)
			}
			wantCode(t, err, codes.Unauthorized)
		}
		token := b.token(func(c *Claims) { c.CNonce = fresh })
		if err := b.judged(token); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(2 * time.Minute)
		wantCode(t, b.judged(token), codes.Unauthorized)
	})
	t.Run("it does not print its key", func(t *testing.T) {
		t.Parallel()
		n := must(NewClientNonces(clock.NewFake(exampleTime), bytes.NewReader(bytes.Repeat([]byte("key!"), 8)), 0))
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if got := fmt.Sprintf(format, n); got != "ace.ClientNonces" {
				t.Error(got)
			}
		}
	})
	t.Run("what it needs is checked", func(t *testing.T) {
		t.Parallel()
		c := clock.NewFake(exampleTime)
		if _, err := NewClientNonces(nil, rand.Reader, 0); err == nil {
			t.Error("no clock")
		}
		if _, err := NewClientNonces(c, bytes.NewReader(nil), 0); err == nil {
			t.Error("no randomness")
		}
		if _, err := NewClientNonces(c, rand.Reader, time.Millisecond); err == nil {
			t.Error("no life")
		}
	})
}
