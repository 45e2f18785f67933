package grouposcore

import (
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
)

// small is a request with 64 bytes of payload.
func small() message.Message {
	m := get("light")
	m.Payload = make([]byte, 64)
	return m
}

// warm are a client and a server that have heard each other.
func warm(tb testing.TB) (client, server *Context) {
	r := newRealm(tb)
	client, server = r.at(tb, "client", 0), r.at(tb, "server", 0)
	m, cx := ask(tb, client, get("a"), PairwiseMode, []byte{0x52})
	_, sx, _ := hear(tb, server, m)
	learn(tb, client, answer(tb, server, content("x"), sx, ResponseOptions{Mode: PairwiseMode}), cx)
	return client, server
}

func TestAllocations(t *testing.T) {
	client, server := warm(t)
	const most = 2
	t.Run("pairwise protection", func(t *testing.T) {
		m, to := small(), []byte{0x52}
		n := testing.AllocsPerRun(100, func() { ask(t, client, m, PairwiseMode, to) })
		if n > most {
			t.Fatalf("request: %v allocations", n)
		}
	})
	t.Run("pairwise verification", func(t *testing.T) {
		var queue []message.Message
		for range 102 {
			m, _ := ask(t, client, small(), PairwiseMode, []byte{0x52})
			queue = append(queue, m)
		}
		i := 0
		n := testing.AllocsPerRun(100, func() { hear(t, server, queue[i]); i++ })
		if n > most {
			t.Fatalf("request: %v allocations", n)
		}
	})
	t.Run("pairwise responses", func(t *testing.T) {
		m, _ := ask(t, client, observe(), PairwiseMode, []byte{0x52})
		_, sx, _ := hear(t, server, m)
		resp := content("x")
		n := testing.AllocsPerRun(100, func() { answer(t, server, resp, sx, ResponseOptions{Mode: PairwiseMode}) })
		if n > most {
			t.Fatalf("protect: %v allocations", n)
		}
	})
}

func BenchmarkPairwiseProtect(b *testing.B) {
	client, _ := warm(b)
	m := small()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := client.ProtectRequest(m, RequestOptions{Mode: PairwiseMode, To: []byte{0x52}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPairwiseUnprotect(b *testing.B) {
	client, server := warm(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m, _ := ask(b, client, small(), PairwiseMode, []byte{0x52})
		b.StartTimer()
		if _, _, _, err := server.UnprotectRequest(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGroupProtect(b *testing.B) {
	client, _ := warm(b)
	m := small()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := client.ProtectRequest(m, RequestOptions{Mode: GroupMode}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGroupUnprotect(b *testing.B) {
	client, server := warm(b)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m, _ := ask(b, client, small(), GroupMode, nil)
		b.StartTimer()
		if _, _, _, err := server.UnprotectRequest(m); err != nil {
			b.Fatal(err)
		}
	}
}

// The floors of the two above: one signature over a message of this length, and
// one verification with an expanded key.
func BenchmarkSign(b *testing.B) {
	client, _ := warm(b)
	tbs := make([]byte, 330)
	for b.Loop() {
		if _, err := client.self.priv.Sign(client.params.Signature, tbs); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	client, _ := warm(b)
	tbs := make([]byte, 330)
	sig, err := client.self.priv.Sign(client.params.Signature, tbs)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := client.self.cred.PublicKey().Verify(client.params.Signature, tbs, sig); err != nil {
			b.Fatal(err)
		}
	}
}
