package vectorfile

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

const testdata = "../vectorrun/testdata"

func load(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata, path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t *testing.T, path string) *File {
	t.Helper()
	f, err := Parse(load(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestShapes(t *testing.T) {
	t.Run("californium, group", func(t *testing.T) {
		x := parse(t, "californium/group/dev-group-078-multicast-three-servers.json").Exchanges[0]
		if !x.Params.Group || !x.Conformant || len(x.Params.Members) != 4 || len(x.Messages) != 4 {
			t.Fatalf("%+v", x)
		}
		req, resp := x.Messages[0], x.Messages[2]
		if !req.Request || req.Mode != "group" || req.From != "client" || *req.Seq != 20 {
			t.Fatalf("%+v", req)
		}
		if resp.Request || resp.From != "server2" || resp.To != "client" || *resp.Seq != 3 || x.Messages[1].Seq != nil {
			t.Fatalf("%+v", resp)
		}
		if x.Params.Member("server3").SenderKey == nil || len(x.Params.Pairwise) == 0 || x.Params.CommonIV == nil {
			t.Fatal("derived values are missing")
		}
	})
	t.Run("californium, plain", func(t *testing.T) {
		x := parse(t, "californium/oscore/dev-oscore-016-oscore-AES_CCM_16_64_128-HMAC_SHA_256.json").Exchanges[0]
		if x.Params.Group || x.Params.IDContext != nil || x.Messages[0].Mode != "plain" {
			t.Fatalf("%+v", x)
		}
		if id := x.Params.Member("client").ID; id == nil || len(id) != 0 {
			t.Fatalf("empty id is %#v", id)
		}
	})
	t.Run("four elements", func(t *testing.T) {
		x := parse(t, "californium/rfc9338-4element/strict-001-group-group-4elem.json").Exchanges[0]
		if !x.Params.FourElements {
			t.Fatal("five")
		}
	})
	t.Run("not conforming", func(t *testing.T) {
		x := parse(t, "californium/nonconforming/nonconf-005-observe-nonempty-inner.json").Exchanges[0]
		if x.Conformant || len(x.Deviations) == 0 {
			t.Fatalf("%+v", x)
		}
	})
	t.Run("outer codes that deviate", func(t *testing.T) {
		x := parse(t, "californium/group/dev-group-091-observe-group.json").Exchanges[0]
		if x.Messages[0].OuterCodeDeviates || !x.Messages[1].OuterCodeDeviates {
			t.Fatal("deviation")
		}
	})
	t.Run("aiocoap, group", func(t *testing.T) {
		x := parse(t, "aiocoap/g26-echo-401-then-pairwise.json").Exchanges[0]
		if !x.Params.Group || len(x.Messages) != 4 || !x.Messages[2].Request || x.Messages[2].Mode != "pairwise" || x.Messages[3].Seq != nil {
			t.Fatalf("%+v", x)
		}
		if len(x.Params.Pairwise) != 2 || x.Params.Pairwise[1].From != "server" {
			t.Fatalf("%+v", x.Params.Pairwise)
		}
	})
	t.Run("aiocoap, deterministic request", func(t *testing.T) {
		x := parse(t, "aiocoap/d01-det-get.json").Exchanges[0]
		if x.Messages[0].Mode != "det" || len(x.Params.DeterministicClient) != 1 {
			t.Fatalf("%+v", x)
		}
	})
	t.Run("accept/reject cases", func(t *testing.T) {
		f := parse(t, "aiocoap/negative.json")
		if len(f.Cases) != 156 || len(f.Exchanges) != 0 {
			t.Fatalf("%d cases", len(f.Cases))
		}
		before, responses := 0, 0
		for _, c := range f.Cases {
			if c.ReceivedBefore != nil {
				before++
			}
			if c.Response {
				responses++
			}
		}
		if before != 18 || responses != 34 {
			t.Fatalf("%d with messages before, %d responses", before, responses)
		}
	})
	t.Run("several exchanges in one file", func(t *testing.T) {
		a, b := load(t, "aiocoap/g01-gg-eddsa-ccm.json"), load(t, "californium/group/dev-group-001-group-group.json")
		f, err := Parse([]byte(`{"vectors": [` + string(a) + `,` + string(b) + `]}`))
		if err != nil || len(f.Exchanges) != 2 {
			t.Fatalf("%v", err)
		}
	})
}

func TestNoVectors(t *testing.T) {
	for _, s := range []string{
		``, `nonsense`, `[]`, `"text"`, `{}`, `{"kind": "group"}`, `{"common": {}, "messages": []}`,
		`{"kind": "other", "common": {}, "messages": []}`, `{"cases": []}`, `[{"file": "x"}]`, `{"messages": {"C.4": 1}}`,
	} {
		t.Run(s, func(t *testing.T) {
			if _, err := Parse([]byte(s)); !errors.Is(err, ErrNotVector) {
				t.Fatalf("%v", err)
			}
		})
	}
}

func TestBrokenVectors(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"no hexadecimal": func(v map[string]any) { v["common"].(map[string]any)["master_secret"] = "xyz" },
		"no secret":      func(v map[string]any) { v["common"].(map[string]any)["master_secret"] = nil },
		"unknown sender": func(v map[string]any) { first(v)["from"] = "nobody" },
		"unknown target": func(v map[string]any) { first(v)["to"] = "nobody" },
		"unknown mode":   func(v map[string]any) { first(v)["mode"] = "both" },
		"plain in group": func(v map[string]any) { first(v)["mode"] = "plain" },
		"no bytes":       func(v map[string]any) { first(v)["protected"] = "" },
		"no request":     func(v map[string]any) { first(v)["kind"] = "response" },
		"contradiction":  func(v map[string]any) { first(v)["includes_piv"] = false },
		"six elements":   func(v map[string]any) { v["countersign_structure_elements"] = 6 },
	} {
		t.Run(name, func(t *testing.T) {
			var v map[string]any
			if err := json.Unmarshal(load(t, "californium/group/dev-group-001-group-group.json"), &v); err != nil {
				t.Fatal(err)
			}
			change(v)
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(b); err == nil || errors.Is(err, ErrNotVector) {
				t.Fatalf("%v", err)
			}
		})
	}
}

func first(v map[string]any) map[string]any { return v["messages"].([]any)[0].(map[string]any) }

func FuzzParse(f *testing.F) {
	for _, p := range []string{"californium/group/dev-group-046-pairwise-piv-0.json", "aiocoap/g05-pp-no-kid-in-response.json", "aiocoap/o01-ccm-basic.json"} {
		f.Add(load(f, p))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Parse(b)
	})
}
