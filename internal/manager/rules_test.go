package manager

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/keystore"
)

// contains reports whether any record of the store holds the bytes.
func (w *world) contains(needle []byte) bool {
	found := false
	err := w.store.View(func(r keystore.Reader) error {
		for _, kind := range []string{
			"gm", "gm-key", "group", "group-name", "gid", "member", "member-of", "sender", "stale", "notice",
			"client", "client-name", "token-hash", "expiry", "assoc",
		} {
			if err := r.Scan(keystore.Key(kind), func(_ keystore.Name, b []byte) error {
				found = found || bytes.Contains(b, needle)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func TestWhatIsForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	_, _ = w.lamp("b", "g1")
	if !w.contains(ja.Response.Key.MasterSecret) || !w.contains(a.cred.Bytes()) {
		t.Fatal("the test looks in the wrong place")
	}
	var challenge []byte
	challenge, err := w.memberChallenge(a.caller, "g1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Evict(ctx, "g1", ja.Node, CauseOperator); err != nil {
		t.Fatal(err)
	}
	t.Run("KG-REKEY-03 the old Master Secret is gone with the rekeying", func(t *testing.T) {
		if w.contains(ja.Response.Key.MasterSecret) {
			t.Fatal("still stored")
		}
	})
	t.Run("KG-REM-02,KG-REM-03 the evicted device's credential and clientchallenge are gone", func(t *testing.T) {
		if w.contains(a.cred.Bytes()) || w.contains(challenge) {
			t.Fatal("still stored")
		}
	})
	t.Run("KG-TOK-05,KG-TOK-06 its kdcchallenge stays with its token", func(t *testing.T) {
		if !w.contains(a.ns) {
			t.Fatal("gone")
		}
		a.join("g1", responder)
	})
	t.Run("KO-SID-06 a Sender ID that was given up is not given out before a new Gid", func(t *testing.T) {
		w.group("waits", func(c *GroupConfig) { c.Windows.Leave = time.Minute })
		d, j := w.lamp("leaves", "waits")
		if err := w.Leave(ctx, d.caller, "waits", j.Node); err != nil {
			t.Fatal(err)
		}
		if err := w.update(ctx, func(x *txn) error { // the search begins where it would be found first
			h, err := x.group("waits")
			if err == nil {
				h.NextSender = 0
				err = x.putHead(h)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		_, next := w.lamp("next", "waits")
		if next.Response.Version != j.Response.Version || bytes.Equal(next.Response.Key.SenderID, j.Response.Key.SenderID) || !bytes.Equal(j.Response.Key.SenderID, []byte{0}) {
			t.Fatalf("%x under version %d", next.Response.Key.SenderID, next.Response.Version)
		}
	})
}

func TestEmptyGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, ja := w.lamp("a", "g1")
	b, jb := w.lamp("b", "g1")
	used := [][]byte{ja.Response.Key.MasterSecret}
	t.Run("KG-REKEY-22,KG-REKEY-21 the last member gets new material", func(t *testing.T) {
		if err := w.Leave(ctx, a.caller, "g1", ja.Node); err != nil {
			t.Fatal(err)
		}
		k, err := w.Material(ctx, b.caller, "g1")
		if err != nil || bytes.Equal(k.Key.MasterSecret, used[0]) {
			t.Fatal(err)
		}
		used = append(used, k.Key.MasterSecret)
	})
	t.Run("KG-REKEY-22 and who joins an empty group gets material that nobody had", func(t *testing.T) {
		if err := w.Leave(ctx, b.caller, "g1", jb.Node); err != nil {
			t.Fatal(err)
		}
		k := a.join("g1", responder).Response
		for _, u := range used {
			if bytes.Equal(k.Key.MasterSecret, u) {
				t.Fatal("used before")
			}
		}
	})
}

func TestMonitorGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	_, jl := w.lamp("lamp", "g1")
	ear := w.device("ear", 0, entry("g1", monitor))
	t.Run("KO-REM-04,KG-REM-07 the others are rekeyed also when a monitor leaves or is evicted", func(t *testing.T) {
		j := ear.join("g1", monitor)
		if err := w.Leave(ctx, ear.caller, "g1", j.Node); err != nil {
			t.Fatal(err)
		}
		if g := w.info("g1"); g.Version != 1 || g.LastCause != CauseLeave || g.Members != 1 {
			t.Fatalf("%+v", g)
		}
		again := ear.join("g1", monitor)
		if _, err := w.Evict(ctx, "g1", again.Node, CauseEviction); err != nil {
			t.Fatal(err)
		}
		if g := w.info("g1"); g.Version != 2 || g.LastCause != CauseEviction || g.Members != 1 {
			t.Fatalf("%+v", g)
		}
		eventually(t, "the lamp is told", func() bool { n := w.net.sentTo(jl.Node); return len(n) > 0 && n[len(n)-1].Version == 2 })
	})
}

// ccs encodes a CWT Claims Set with an Ed25519 key as it is.
func ccs(x []byte) []byte {
	key := cborx.AppendMap(nil, 3)
	key = cborx.AppendInt(cborx.AppendInt(key, 1), 1)    // kty: OKP
	key = cborx.AppendInt(cborx.AppendInt(key, -1), 6)   // crv: Ed25519
	key = cborx.AppendBytes(cborx.AppendInt(key, -2), x) // x
	cnf := append(cborx.AppendInt(cborx.AppendMap(nil, 1), 1), key...)
	return append(cborx.AppendInt(cborx.AppendMap(nil, 1), 8), cnf...)
}

func TestKeysThatCannotAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	a, j := w.lamp("a", "g1")
	one := make([]byte, 32)
	one[0] = 1
	minusOne := bytes.Repeat([]byte{0xff}, 32)
	minusOne[0], minusOne[31] = 0xec, 0x7f
	for name, x := range map[string][]byte{"y = 1": one, "y = -1": minusOne} {
		t.Run("KO-JPROC-11 joining with "+name, func(t *testing.T) {
			_, err := a.tryJoin("g1", responder, func(q *groupcomm.JoinRequest) { q.Credential = ccs(x) })
			wantKind(t, err, KindCredential)
		})
		t.Run("KO-OPS-15 updating to "+name, func(t *testing.T) {
			u := &groupcomm.CredentialUpdate{Credential: ccs(x), Nonce: make([]byte, 8), Evidence: make([]byte, 64)}
			wantKind(t, w.UpdateCredential(ctx, a.caller, "g1", j.Node, u.Marshal()), KindCredential)
		})
	}
}

func TestVerificationData(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	_, j := w.lamp("a", "g1")
	v := w.device("v", 0, entry("g1", verifier))
	k, err := w.VerificationData(context.Background(), v.caller, "g1")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("KO-OPS-21,GO-12.3-2 the Signature Encryption Key is derived with SEKey and an empty id", func(t *testing.T) {
		// info = [h'', Gid, alg, "SEKey", L], written out by hand.
		info := cborx.AppendArray(nil, 5)
		info = cborx.AppendBytes(info, nil)
		info = cborx.AppendBytes(info, j.Response.Key.Gid)
		info = cborx.AppendInt(info, int64(cose.AlgAESCCM16_64_128))
		info = cborx.AppendUint(cborx.AppendText(info, "SEKey"), 16)
		want, err := cose.HKDF(cose.AlgHMAC256, nil, j.Response.Key.MasterSecret, info, 16)
		if err != nil || !bytes.Equal(want, k.SignatureEncryptionKey) {
			t.Fatal(err)
		}
	})
	t.Run("KO-OPS-20 algorithms, hkdf explicit, no secret", func(t *testing.T) {
		m := k.Key
		if m.MasterSecret != nil || m.SenderID != nil || m.HKDF != cose.AlgHMAC256 || m.GroupEnc == 0 || m.Signature == 0 || m.SignParams == nil || m.AEAD == 0 || m.KeyAgreement == 0 || !bytes.Equal(m.Gid, j.Response.Key.Gid) {
			t.Fatalf("%+v", m)
		}
	})
}

func TestFewerStaleSets(t *testing.T) {
	t.Parallel()
	t.Run("KO-RKOV-10 the most recent sets stay when there are to be fewer", func(t *testing.T) {
		h := &head{Version: 9, OldestStale: 5, Config: GroupConfig{MaxStaleSets: 2}}
		h.trimStale()
		if h.OldestStale != 8 || h.staleSets() != 2 {
			t.Fatal(h.OldestStale)
		}
		h.Config.MaxStaleSets = 10
		h.trimStale()
		if h.OldestStale != 8 {
			t.Fatal("a set came back")
		}
	})
}

func TestRekeyingIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.SweepInterval = time.Hour })
	ctx := context.Background()
	w.group("small", func(c *GroupConfig) { c.GroupEnc, c.AEAD = cose.AlgAESCCM64_64_128, cose.AlgAESCCM64_64_128 })
	a, j := w.lamp("a", "small")
	t.Run("KG-REKEY-24,KG-REKEY-01,KG-NODE-14 a member that asks for Sender IDs without end rekeys nobody", func(t *testing.T) {
		for range 600 {
			_, err := w.NewSenderID(ctx, a.caller, "small", j.Node)
			if err != nil && KindOf(err) != KindNoIndividualKey {
				t.Fatal(err)
			}
		}
		if g := w.info("small"); g.Version != 0 {
			t.Fatal(g.Version)
		}
	})
}
