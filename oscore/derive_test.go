package oscore

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/cborx"
	"pgregory.net/rapid"
)

var algorithms = []cose.Algorithm{1, 2, 3, 10, 11, 12, 13, 24, 30, 31, 32, 33, -65534, -65532}

func TestInfoAgainstLibrary(t *testing.T) {
	t.Run("OS-3.2.1-3,OS-3.2.1-5,OS-3.2.1-8 info equals the library's encoding", rapid.MakeCheck(func(t *rapid.T) {
		id := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "id")
		ctx := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "context")
		alg := rapid.SampledFrom(algorithms).Draw(t, "alg")
		typ := rapid.SampledFrom([]string{"Key", "IV", "SEKey"}).Draw(t, "type")
		n := rapid.IntRange(0, 300).Draw(t, "length")
		var item any = ctx
		if rapid.Bool().Draw(t, "no context") {
			ctx, item = nil, nil
		}
		want, err := cborx.Marshal([]any{append([]byte{}, id...), item, int64(alg), typ, n})
		if err != nil {
			t.Fatal(err)
		}
		if got := appendInfo(nil, id, ctx, alg, typ, n); string(got) != string(want) {
			t.Fatalf("%x, library %x", got, want)
		}
	}))
	t.Run("OS-3.2.1-8 negative and long algorithm numbers", func(t *testing.T) {
		equal(t, hex.EncodeToString(appendInfo(nil, nil, nil, -65534, TypeKey, 16)), "8540f639fffd634b657910")
	})
}

func TestDeriveKeyRefuses(t *testing.T) {
	if _, err := DeriveKey(cose.AlgES256, []byte("x"), nil, nil, nil, 10, TypeKey, 16); err == nil {
		t.Fatal("hkdf with a signature algorithm")
	}
}

func TestAADAgainstLibrary(t *testing.T) {
	t.Run("OS-5.4-1,OS-5.4-3,OS-5.4-4,OS-5-2 the AAD equals the library's encoding", rapid.MakeCheck(func(t *rapid.T) {
		kid := rapid.SliceOfN(rapid.Byte(), 0, 7).Draw(t, "kid")
		piv := rapid.SliceOfN(rapid.Byte(), 1, 5).Draw(t, "piv")
		alg := rapid.SampledFrom(algorithms).Draw(t, "alg")
		external, err := cborx.Marshal([]any{1, []any{int64(alg)}, append([]byte{}, kid...), piv, []byte{}})
		if err != nil {
			t.Fatal(err)
		}
		want, err := cborx.Marshal([]any{"Encrypt0", []byte{}, external})
		if err != nil {
			t.Fatal(err)
		}
		got := appendAAD(nil, alg, kid, piv)
		if string(got) != string(want) {
			t.Fatalf("%x, library %x", got, want)
		}
		if len(got) > aadSize {
			t.Fatalf("%d bytes", len(got))
		}
	}))
	t.Run("OS-5.4-4 example of RFC 8613", func(t *testing.T) {
		equal(t, hex.EncodeToString(appendAAD(nil, 10, []byte{0}, []byte{0x25})), "8368456e63727970743040498501810a4100412540")
	})
}

func TestNonce(t *testing.T) {
	iv := unhex(t, "4622d4dd6d944168eefb54987c")
	t.Run("OS-5.2-1 length, identifier and Partial IV are padded and XORed", func(t *testing.T) {
		zero := make([]byte, 13)
		equal(t, hex.EncodeToString(AppendNonce(nil, 13, []byte{0xaa, 0xbb}, []byte{1, 2}, zero)), "020000000000aabb"+"0000000102")
		equal(t, hex.EncodeToString(AppendNonce(nil, 13, []byte("1234567"), []byte{1, 2, 3, 4, 5}, zero)), "07313233343536370102030405")
		equal(t, hex.EncodeToString(AppendNonce(nil, 7, []byte{9}, []byte{1}, zero[:7])), "01090000000001")
	})
	t.Run("OS-5.2-1 RFC 8613 C.4", func(t *testing.T) {
		equal(t, hex.EncodeToString(AppendNonce(nil, 13, nil, []byte{0x14}, iv)), "4622d4dd6d944168eefb549868")
	})
	t.Run("a longer Common IV is cut", func(t *testing.T) {
		equal(t, AppendNonce([]byte{1}, 12, nil, []byte{0}, iv), append([]byte{1}, iv[:12]...))
	})
	for name, f := range map[string]func(){
		"identifier": func() { AppendNonce(nil, 13, make([]byte, 8), nil, iv) },
		"partial iv": func() { AppendNonce(nil, 13, nil, make([]byte, 6), iv) },
		"common iv":  func() { AppendNonce(nil, 13, nil, nil, iv[:12]) },
	} {
		t.Run("a panic for an illegal "+name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("no panic")
				}
			}()
			f()
		})
	}
}

func TestEveryAlgorithm(t *testing.T) {
	for _, alg := range algorithms[:12] {
		for _, hkdf := range []cose.Algorithm{5, 6, 7} {
			t.Run(fmt.Sprintf("OS-3.2.1-1,OS-3.1-1 %v, HKDF %v", alg, hkdf), func(t *testing.T) {
				p := testParams()
				p.AEAD, p.HKDF, p.IDContext = alg, hkdf, []byte("ctx")
				client, server := pair(t, p)
				sizes, _ := alg.AEAD()
				equal(t, []int{len(*client.commonIV), client.sender.Overhead()}, []int{sizes.NonceSize, sizes.TagSize})
				cx, sx := request(t, client, server, get())
				m := must(server.ProtectResponse(content("hello"), sx, ResponseOptions{KID: true, KIDContext: true}))(t)
				equal(t, must(client.UnprotectResponse(m, cx))(t), content("hello"))
			})
		}
	}
}
