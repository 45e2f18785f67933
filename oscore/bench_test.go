package oscore

import "testing"

func BenchmarkProtectRequest(b *testing.B) {
	client, _ := pair(b, testParams())
	m := get()
	m.Payload = make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := client.ProtectRequest(m, RequestOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnprotectRequest(b *testing.B) {
	client, server := pair(b, testParams())
	m := get()
	m.Payload = make([]byte, 64)
	p, _, err := client.ProtectRequest(m, RequestOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		server.window.Resync(0)
		server.window.Invalidate() // so that the same request verifies again
		if _, _, err := server.UnprotectRequest(p); err != ErrWindowInvalid {
			b.Fatal(err)
		}
	}
}

func BenchmarkProtectResponse(b *testing.B) {
	client, server := pair(b, testParams())
	_, sx := request(b, client, server, get())
	m := content(string(make([]byte, 64)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := server.ProtectResponse(m, sx, ResponseOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnprotectResponse(b *testing.B) {
	client, server := pair(b, testParams())
	cx, sx := request(b, client, server, get())
	p, err := server.ProtectResponse(content(string(make([]byte, 64))), sx, ResponseOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		cx.answered, cx.ended = false, false
		if _, err := client.UnprotectResponse(p, cx); err != nil {
			b.Fatal(err)
		}
	}
}
