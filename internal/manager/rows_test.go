package manager

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
)

func TestJoinScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.group("g1", nil)
	d, _ := w.lamp("a", "g1")
	t.Run("KG-JOIN-12,KO-JPROC-07 roles that cannot be determined", func(t *testing.T) {
		var q map[int64]cborx.RawMessage
		if err := cborx.Unmarshal(d.request("g1", responder, nil), &q); err != nil {
			t.Fatal(err)
		}
		delete(q, 3)
		b, err := cborx.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Join(context.Background(), d.caller, "g1", b)
		wantKind(t, err, KindJoinInfo)
	})
	t.Run("KG-JOIN-10 evidence over another scope than that of the request", func(t *testing.T) {
		_, err := d.tryJoin("g1", responder, func(q *groupcomm.JoinRequest) {
			other := groupcomm.EncodeScope(entry("g1", requester|responder))
			q.Evidence = d.evidence("g1", groupcomm.ClientPoP(other, d.ns, q.Nonce))
		})
		wantKind(t, err, KindProof)
	})
	t.Run("KG-PAR-02,KG-ERR-05 a request with every parameter of the registry that a client may send", func(t *testing.T) {
		var q map[int64]cborx.RawMessage
		if err := cborx.Unmarshal(d.request("g1", responder, nil), &q); err != nil {
			t.Fatal(err)
		}
		for _, k := range []int64{3, 4, 5, 6, 24, 26} {
			if q[k] == nil {
				t.Fatalf("the request lacks %d", k)
			}
		}
		q[25] = cborx.AppendText(nil, "coap://repo.example/creds") // creds_repo, of which the profile makes no use
		b, err := cborx.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Join(context.Background(), d.caller, "g1", b); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLogsAreDiscreet: what operators are shown of events has neither the network
// address nor the credential of a client.
func TestLogsAreDiscreet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", nil)
	d, j := w.lamp("a", "g1")
	if _, err := d.tryJoin("g1", monitor, nil); err == nil {
		t.Fatal("no refusal to log")
	}
	if _, err := w.NewSenderID(ctx, d.caller, "g1", j.Node); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Evict(ctx, "g1", j.Node, CauseOperator); err != nil {
		t.Fatal(err)
	}
	w.writeRefusals(ctx, true)
	eventually(t, "the refusal is written", func() bool { return strings.Contains(w.auditLog(), "request.refused") }) // by the loop, perhaps
	text := w.auditLog()
	t.Run("KO-PAR-13 neither addresses nor credentials are logged", func(t *testing.T) {
		if strings.Contains(text, deviceAddr.Addr().String()) {
			t.Error("an address")
		}
		cred := d.cred.Bytes()
		if strings.Contains(text, hex.EncodeToString(cred)) || bytes.Contains([]byte(text), cred[len(cred)-16:]) || strings.Contains(text, hex.EncodeToString(d.cred.PublicKey().X())) {
			t.Error("a credential")
		}
		if !strings.Contains(text, "member.evicted") || !strings.Contains(text, "request.refused") {
			t.Error("and what happened is there", text)
		}
	})
}

func TestRenewalExhausted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ctx := context.Background()
	w.group("g1", func(c *GroupConfig) { c.GroupEnc, c.AEAD = cose.AlgAESCCM64_64_128, cose.AlgAESCCM64_64_128 })
	d, j := w.lamp("a", "g1")
	t.Run("KG-NODE-12,KO-OPS-09 no Sender ID is left for a renewal", func(t *testing.T) {
		for n := 1; ; n++ {
			_, err := w.NewSenderID(ctx, d.caller, "g1", j.Node)
			if err == nil && n < 256 {
				continue
			}
			wantKind(t, err, KindNoIndividualKey)
			if n != 256 {
				t.Fatalf("after %d Sender IDs of 256", n)
			}
			return
		}
	})
}
