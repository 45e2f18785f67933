package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"github.com/cohort-iot/cohort/integration/binaries"
	"github.com/cohort-iot/cohort/integration/oracle"
	"github.com/cohort-iot/cohort/integration/relay"
	"github.com/cohort-iot/cohort/internal/coapmsg"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/boltstore"
	"github.com/cohort-iot/cohort/keystore/seal"
	"github.com/cohort-iot/cohort/oscore"
)

// kills is how many a run makes, over all its campaigns.
func kills(t *testing.T) int {
	text := os.Getenv("COHORT_CRASH")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("COHORT_CRASH=%q is no number of kills", text)
	}
	return n
}

// shortDir is an empty directory with a short path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestCrash(t *testing.T) {
	binary := filepath.Join(binaries.Build(t), "groupmanager")
	campaigns := []Config{
		{}, {Anchor: true}, {Anchor: true, Policy: "keep"}, {Anchor: true, Policy: "rekey-if-unclean"},
		{Anchor: true, GidEpochs: 6}, {Anchor: true, Policy: "keep", Window: 200 * time.Millisecond},
	}
	n := kills(t)
	for i, cfg := range campaigns {
		cfg.Binary, cfg.Dir, cfg.Devices, cfg.Seed = binary, shortDir(t), 6, uint64(time.Now().UnixNano())
		rounds := (n + len(campaigns) - 1 - i) / len(campaigns)
		t.Run(fmt.Sprintf("anchor %v policy %q epochs %d window %v", cfg.Anchor, cfg.Policy, cfg.GidEpochs, cfg.Window), func(t *testing.T) { campaign(t, cfg, rounds) })
	}
}

func campaign(t *testing.T, cfg Config, rounds int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(rounds)*5*time.Second)
	defer cancel()
	w, err := newWorld(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	for range rounds {
		if err := errors.Join(w.crash(ctx), w.check(ctx)); err != nil {
			t.Fatalf("round %d of seed %d: %v\n%s", w.round.Load(), cfg.Seed, err, w.proc.tail())
		}
	}
	// The group goes on: everybody joins and is rekeyed once more.
	for _, d := range w.devices {
		if err := d.join(ctx); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
	}
	if _, err := w.proc.operator.Rekey(ctx, groupName); err != nil {
		t.Fatal(err)
	}
	if err := w.settle(ctx); err != nil {
		t.Fatal(err, w.proc.tail())
	}
	v, err := w.look(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range w.devices { // whose Birth Gid came back
		if _, ok := v.members[d.name]; !ok && cfg.GidEpochs > 0 {
			if err := d.join(ctx); err != nil {
				t.Fatalf("%s: %v", d.name, err)
			}
		}
	}
	if v, err := w.look(ctx); err != nil || len(v.members) != len(w.devices) {
		t.Fatal(v, err)
	}
	if err := w.proc.stop(); err != nil {
		t.Fatal(err, w.proc.tail())
	}
	if err := w.judge(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills cut off %d of %d tasks; %d keys with nonces, %d versions, %d Sender IDs, %d memberships", rounds, w.cutOff, w.tasks, w.oracle.Len(), len(w.facts.gids), len(w.facts.senders), len(w.facts.nodes))
	checkAudit(t, w)
	planted(t, w)
}

// checkAudit: the log of all processes together is one unbroken chain.
func checkAudit(t *testing.T, w *world) {
	t.Helper()
	b, err := boltstore.Open(filepath.Join(w.proc.dir, "data", "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := keystore.Open(b, keystore.Options{Wrapper: seal.KeyFile(filepath.Join(w.proc.dir, "seal.key")), Existing: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, _, err := s.AuditVerify(); err != nil {
		t.Fatal(err)
	}
}

// planted: had one nonce of this very run been used once more, it would have been
// seen.
func planted(t *testing.T, w *world) {
	t.Helper()
	d := w.devices[0]
	p, err := d.token.Cnf.OSC.ClientContext(bytes.Repeat([]byte{1}, 8), bytes.Repeat([]byte{2}, 8), []byte{0xa0}, []byte{0xa1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.addAssociation(d.name, p); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		c, err := oscore.NewContext(p, oscore.NewEphemeralSequence())
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := c.ProtectRequest(message.Message{Code: codes.POST, Token: []byte{1}, Payload: []byte{byte(i)}, Type: message.Confirmable, MessageID: 1}, oscore.RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := coapmsg.AppendDatagram(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		w.record(relayed(d, b))
		if err := w.judge(); (err != nil) != (i == 1) || i == 1 && !errors.Is(err, oracle.ErrReuse) {
			t.Fatalf("datagram %d of two under one nonce: %v", i, err)
		}
	}
}

func relayed(d *device, b []byte) relay.Datagram {
	return relay.Datagram{Direction: relay.ToServer, Device: d.ep.LocalAddr(), Bytes: b, At: time.Now()}
}
