package cose

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func loadJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// exchanges holds what another implementation computed in whole exchanges.
type exchanges struct {
	Ciphers []struct {
		Source      string    `json:"source"`
		Alg         Algorithm `json:"alg"`
		Key         string    `json:"key"`
		Nonce       string    `json:"nonce"`
		AAD         string    `json:"aad"`
		ExternalAAD string    `json:"external_aad"`
		Plaintext   string    `json:"plaintext"`
		Ciphertext  string    `json:"ciphertext"`
	} `json:"ciphers"`
	Derivations []struct {
		Source string    `json:"source"`
		What   string    `json:"what"`
		HKDF   Algorithm `json:"hkdf"`
		Salt   string    `json:"salt"`
		IKM    string    `json:"ikm"`
		Info   string    `json:"info"`
		Length int       `json:"length"`
		OKM    string    `json:"okm"`
	} `json:"derivations"`
	SharedSecrets []struct {
		Source     string `json:"source"`
		PrivateKey string `json:"private_key"`
		Own        string `json:"own"`
		Peer       string `json:"peer"`
		Secret     string `json:"secret"`
	} `json:"shared_secrets"`
	Signatures []struct {
		Source      string    `json:"source"`
		Alg         Algorithm `json:"alg"`
		Elements    int       `json:"elements"`
		Cred        string    `json:"cred"`
		PrivateKey  string    `json:"private_key"`
		ExternalAAD string    `json:"external_aad"`
		Ciphertext  string    `json:"ciphertext"`
		TBS         string    `json:"tbs"`
		Signature   string    `json:"signature"`
	} `json:"signatures"`
	Credentials []struct {
		Source     string  `json:"source"`
		Cred       string  `json:"cred"`
		Kty        KeyType `json:"kty"`
		Crv        Curve   `json:"crv"`
		X          string  `json:"x"`
		Y          string  `json:"y"`
		PrivateKey string  `json:"private_key"`
	} `json:"credentials"`
}

func loadExchanges(t testing.TB) *exchanges {
	t.Helper()
	e := new(exchanges)
	loadJSON(t, "exchanges.json", e)
	if len(e.Ciphers) == 0 || len(e.Derivations) == 0 || len(e.SharedSecrets) == 0 || len(e.Signatures) == 0 || len(e.Credentials) == 0 {
		t.Fatal("testdata/exchanges.json is not complete")
	}
	return e
}

// newKey makes a key pair that is the same in every run.
func newKey(t testing.TB, crv Curve, seed byte) *PrivateKey {
	t.Helper()
	d := make([]byte, crv.size())
	for i := range d {
		d[i] = seed + byte(i)
	}
	if crv == CurveP521 {
		d[0] = 0
	}
	k, err := NewPrivateKey(crv, d)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var supportedCurves = []Curve{CurveP256, CurveP384, CurveP521, CurveX25519, CurveX448, CurveEd25519, CurveEd448}
