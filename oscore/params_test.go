package oscore

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/cose"
)

func TestParamsRefused(t *testing.T) {
	for name, f := range map[string]func(*Params){
		"OS-3.2-1 no Master Secret":                     func(p *Params) { p.MasterSecret = nil },
		"OS-3.2-1 no Sender ID":                         func(p *Params) { p.SenderID = nil },
		"OS-3.2-1 no Recipient ID":                      func(p *Params) { p.RecipientID = nil },
		"OS-3.2.1-1 AES-MAC based HKDF":                 func(p *Params) { p.HKDF = 25 },
		"OS-3.2.1-1 truncated HMAC as HKDF":             func(p *Params) { p.HKDF = cose.AlgHMAC256_64 },
		"OS-5.2-3,OS-12.6-1 no AEAD: A128CTR":           func(p *Params) { p.AEAD = cose.AlgA128CTR },
		"OS-5.2-3,OS-12.6-1 no AEAD: A128CBC":           func(p *Params) { p.AEAD = cose.AlgA128CBC },
		"OS-5.2-3 unknown AEAD":                         func(p *Params) { p.AEAD = 99 },
		"OS-3.3-2 Sender ID of 8 bytes":                 func(p *Params) { p.SenderID = make([]byte, 8) },
		"OS-3.3-2 Recipient ID of 8 bytes":              func(p *Params) { p.RecipientID = make([]byte, 8) },
		"OS-3.3-2 2 bytes with a 7-byte nonce":          func(p *Params) { p.AEAD, p.SenderID = cose.AlgAESCCM64_64_128, make([]byte, 2) },
		"OS-3.3-2 7 bytes with a 12-byte nonce":         func(p *Params) { p.AEAD, p.SenderID = cose.AlgChaCha20Poly1305, make([]byte, 7) },
		"Sender ID equals Recipient ID":                 func(p *Params) { p.SenderID = []byte{1} },
		"both IDs empty":                                func(p *Params) { p.RecipientID = []byte{} },
		"negative replay window":                        func(p *Params) { p.ReplayWindow = -1 },
		"replay window beyond what memory is spent for": func(p *Params) { p.ReplayWindow = 4097 },
	} {
		t.Run(name, func(t *testing.T) {
			p := testParams()
			f(&p)
			wantErr(t, p.Validate(), ErrParams)
			_, err := NewContext(p, NewEphemeralSequence())
			wantErr(t, err, ErrParams)
		})
	}
	t.Run("all faults are told at once", func(t *testing.T) {
		err := Params{HKDF: 1, AEAD: 99}.Validate()
		if n := strings.Count(err.Error(), ErrParams.Error()); n != 5 {
			t.Fatalf("%d faults: %v", n, err)
		}
	})
	t.Run("no sequence", func(t *testing.T) {
		_, err := NewContext(testParams(), nil)
		wantErr(t, err, ErrParams)
	})
}

func TestParamsAccepted(t *testing.T) {
	for name, f := range map[string]func(*Params){
		"OS-3.3-3 an empty Sender ID":         func(*Params) {},
		"OS-3.3-2 IDs of 7 bytes":             func(p *Params) { p.SenderID, p.RecipientID = []byte("1234567"), []byte("7654321") },
		"OS-3.3-2 1 byte with 7-byte nonces":  func(p *Params) { p.AEAD = cose.AlgAESCCM64_64_128 },
		"OS-3.3-2 6 bytes with 12-byte nonce": func(p *Params) { p.AEAD, p.SenderID = cose.AlgA256GCM, []byte("123456") },
		"OS-3.3-5 an ID Context of 1000":      func(p *Params) { p.IDContext = make([]byte, 1000) },
		"OS-3.2.1-1 SHA-512":                  func(p *Params) { p.HKDF = cose.AlgHMAC512 },
	} {
		t.Run(name, func(t *testing.T) {
			p := testParams()
			f(&p)
			client, server := pair(t, p)
			m, cx, err := client.ProtectRequest(get(), RequestOptions{OmitIDContext: true})
			if err != nil {
				t.Fatal(err)
			}
			_, sx, err := server.UnprotectRequest(m)
			if err != nil {
				t.Fatal(err)
			}
			r, err := server.ProtectResponse(content("x"), sx, ResponseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, must(client.UnprotectResponse(r, cx))(t), content("x"))
		})
	}
}

func TestDefaults(t *testing.T) {
	p := testParams()
	c, _ := pair(t, p)
	explicit := p
	explicit.AEAD, explicit.HKDF, explicit.ReplayWindow = 10, 5, 32
	_, s := pair(t, explicit)
	t.Run("OS-3.2-2,OS-3.2-4,OS-5-1 defaults are AES-CCM-16-64-128 and SHA-256", func(t *testing.T) {
		request(t, c, s, get())
		equal(t, []int{c.nonceSize, c.tagSize, len(*c.commonIV)}, []int{13, 8, 13})
	})
	t.Run("OS-3.2-5 default window of 32", func(t *testing.T) { equal(t, c.window.Size(), 32) })
	t.Run("OS-3.2-3 no salt equals empty salt", func(t *testing.T) {
		a, b := p, p
		a.MasterSalt, b.MasterSalt = nil, []byte{}
		c, _ := pair(t, a)
		_, s := pair(t, b)
		request(t, c, s, get())
	})
	t.Run("OS-3.2-6 windows of different sizes", func(t *testing.T) {
		large := reverse(p)
		large.ReplayWindow = 4096
		c, _ := pair(t, p)
		s := must(NewContext(large, NewEphemeralSequence()))(t)
		cx, sx := request(t, c, s, get())
		m := must(s.ProtectResponse(content("x"), sx, ResponseOptions{}))(t)
		equal(t, must(c.UnprotectResponse(m, cx))(t), content("x"))
	})
	t.Run("OS-3.2.1-5 an empty ID Context is not an absent one", func(t *testing.T) {
		q := p
		q.IDContext = []byte{}
		_, s := pair(t, q)
		m, _, err := c.ProtectRequest(get(), RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = s.UnprotectRequest(m)
		wantErr(t, err, ErrDecryption)
	})
	t.Run("the library copies its inputs", func(t *testing.T) {
		q := p.Clone()
		q.SenderID = []byte{9}
		c := must(NewContext(q, NewEphemeralSequence()))(t)
		q.SenderID[0], q.MasterSecret[0] = 8, 0
		equal(t, c.SenderID(), []byte{9})
	})
	t.Run("OS-3.1-6 Master Secret and Salt may be dropped after derivation", func(t *testing.T) {
		q := p.Clone()
		c := must(NewContext(q, NewEphemeralSequence()))(t)
		q.MasterSecret.Wipe()
		q.MasterSalt.Wipe()
		_, s := pair(t, p)
		request(t, c, s, get())
	})
	t.Run("OS-3.1-2,OS-3.1-5 what the Sender and the Recipient Context hold", func(t *testing.T) {
		q := p
		q.IDContext = []byte("ctx")
		c, s := pair(t, q)
		request(t, c, s, get())
		request(t, s, c, get())
		equal(t, [][]byte{c.SenderID(), c.RecipientID(), c.IDContext(), c.KIDContext()}, [][]byte{q.SenderID, q.RecipientID, q.IDContext, q.IDContext})
		equal(t, c.Sequence().Remaining(), MaxSequence)
		n, ok := c.window.Highest()
		equal(t, []any{n, ok}, []any{uint64(0), true})
		equal(t, c.Algorithm(), DefaultAEAD)
	})
}

func TestNothingSecretIsPrinted(t *testing.T) {
	p := testParams()
	p.MasterSecret, p.MasterSalt = []byte("SECRETSECRETSECRET"), []byte("SALTSALTSALT")
	client, server := pair(t, p)
	m, x, err := client.ProtectRequest(get(), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.Payload[0] ^= 1
	_, _, derr := server.UnprotectRequest(m)
	b2, err := NewB2Server(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	b2c, err := NewB2Client(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := must(DeriveKey(DefaultHKDF, p.MasterSecret, p.MasterSalt, p.SenderID, nil, DefaultAEAD, TypeKey, 16))(t)
	type holder struct { // of a package above, careless
		ctx *Context
		x   *Exchange
		s   *B2Server
		c   *B2Client
	}
	if _, err := b2.issue(); err != nil { // so that it has a key
		t.Fatal(err)
	}
	for _, v := range []any{p, client, x, derr, b2, b2c, key, holder{client, x, b2, b2c}, &holder{client, x, b2, b2c}} {
		t.Run(fmt.Sprintf("OS-12.6-2 %T", v), func(t *testing.T) {
			var out strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
				fmt.Fprintf(&out, verb, v)
			}
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
			if _, isErr := v.(error); !isErr {
				j, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				out.Write(j)
			}
			for _, s := range []string{string(p.MasterSecret), string(p.MasterSalt), string(key), string(*client.commonIV), string(*b2.key)} {
				for _, form := range []string{s, fmt.Sprintf("%x", s), fmt.Sprintf("%d", []byte(s)), fmt.Sprintf("%#v", []byte(s)), strings.Trim(fmt.Sprint([]byte(s)), "[]")} {
					if strings.Contains(out.String(), form) {
						t.Fatalf("%q in %s", form, out.String())
					}
				}
			}
		})
	}
}

func TestErrorResponse(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		code       string
		diagnostic string
	}{
		"OS-8.2-4,OS-4.1.3.1-2 decode":     {ErrMalformed, "4.02", "Failed to decode COSE"},
		"OS-8.2-6,OS-4.1.3.1-2 no context": {ErrNoContext, "4.01", "Security context not found"},
		"OS-7.4-2,OS-4.1.3.1-2 replay":     {ErrReplay, "4.01", "Replay detected"},
		"OS-8.2-8,OS-4.1.3.1-2 decryption": {ErrDecryption, "4.00", "Decryption failed"},
	} {
		t.Run(name+" is answered", func(t *testing.T) {
			code, diagnostic, maxAge, ok := ErrorResponse(fmt.Errorf("while serving: %w", c.err))
			if !ok || fmt.Sprintf("%d.%02d", code>>5, code&31) != c.code || diagnostic != c.diagnostic || maxAge != 0 {
				t.Fatalf("%v %q %d %v", code, diagnostic, maxAge, ok)
			}
		})
	}
	for _, err := range []error{nil, ErrWindowInvalid, ErrNotProtected, ErrExchange, ErrSequenceExhausted, errors.New("other")} {
		t.Run(fmt.Sprintf("OS-D.5.3-1 silence for %v", err), func(t *testing.T) {
			if _, _, _, ok := ErrorResponse(err); ok {
				t.Fatal("answered")
			}
		})
	}
}
