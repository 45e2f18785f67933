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
