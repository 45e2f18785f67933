package manager

import (
	"context"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/keystore"
)

// TestCutOff cuts what ends or reduces a token off after its first transaction, as
// a crash would, in a group that waits for further expiries.
func TestCutOff(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ctx context.Context, d *device) error{
		"KG-REM-01 a revoked token": func(ctx context.Context, d *device) error {
			_, err := d.w.RevokeToken(ctx, d.hash)
			return err
		},
		"rights that an update took away": func(ctx context.Context, d *device) error {
			tok := &ace.Token{
				Hash: ace.TokenHash{1, 2, 3}, Issuer: "as", Client: d.name, Scope: ace.Scope{entry("g2", requester)},
				Expires: d.w.clock.Now().Add(time.Hour),
			}
			return d.w.ReplaceToken(ctx, d.caller.Association, tok)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			i, marked := w.interpose()
			i.cut = true
			w.group("g1", func(c *GroupConfig) { c.Windows.Expiry = maxWindow })
			d, j := w.lamp("a", "g1")
			if err := do(marked, d); KindOf(err) != KindUnavailable {
				t.Fatal(err)
			}
			w.clock.Advance(time.Second)
			if err := w.expireTokens(context.Background()); err != nil {
				t.Fatal(err)
			}
			if g := w.info("g1"); w.member("g1", j.Node) != nil || g.Version != 1 || g.LastCause != CauseTokenRevoked || g.Due != CauseNone {
				t.Fatalf("it could read on: %+v", g)
			}
			left := 0
			err := w.view(func(r reader) error {
				return r.Scan(nameExpiries(), func(n keystore.Name, _ []byte) error {
					if n.ID(0) <= uint64(w.clock.Now().Unix()) {
						left++
					}
					return nil
				})
			})
			if err != nil || left != 0 {
				t.Fatal(left, "intents are left", err)
			}
		})
	}
}

func TestRevocationOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	i, marked := w.interpose()
	w.group("g1", nil)
	d, _ := w.lamp("a", "g1")
	gone, cancel := context.WithCancel(marked)
	i.do = cancel
	if n, err := w.RevokeToken(gone, d.hash); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if g := w.info("g1"); g.Members != 0 || g.Version != 1 {
		t.Fatalf("%+v", g)
	}
}
