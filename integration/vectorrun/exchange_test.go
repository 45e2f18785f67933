package vectorrun

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cohort-iot/cohort/integration/vectorfile"
)

// files gives every file of testdata that is a vector.
func files(t *testing.T, f func(path string, v *vectorfile.File)) {
	t.Helper()
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if v, err := vectorfile.Parse(b); err == nil {
			f(path, v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// proven names the requirements that one direction of a message shows.
func proven(x *vectorfile.Exchange, m *vectorfile.Message, direction string) string {
	if !x.Params.Group {
		return ""
	}
	ids := map[string]string{
		"group request forward":      "GO-7.1-1,GO-3.1-3,GO-4.1-1,GO-4.1-3",
		"group request backward":     "GO-7.2-8,GO-7.2-12",
		"group request mutated":      "GO-7-6,GO-14.7.2-1",
		"group response forward":     "GO-7.3-5,GO-4.2-2",
		"group response backward":    "GO-7.4-5,GO-4.2-2",
		"group response mutated":     "GO-7-6,GO-7.4-7",
		"pairwise request forward":   "GO-8.3-1,GO-4.1-2",
		"pairwise request backward":  "GO-8-1,GO-2.5.1-4",
		"pairwise request mutated":   "GO-7-6,GO-8-1",
		"pairwise response forward":  "GO-8.5-1,GO-4.1-2",
		"pairwise response backward": "GO-8.6-2",
		"pairwise response mutated":  "GO-7-6,GO-8-1",
	}[m.Mode+" "+kind(m)+" "+direction]
	if m.Mode == "group" && direction == "forward" && x.Params.GroupEnc == -65534 {
		ids += ",GO-2.1.7-3,GO-10-4"
	}
	return ids + " "
}

// TestExchanges runs what other implementations recorded.
func TestExchanges(t *testing.T) {
	ran := 0
	files(t, func(path string, v *vectorfile.File) {
		for _, x := range v.Exchanges {
			if unsupported(&x.Params) != "" || !x.Conformant {
				continue
			}
			w, err := newWorld(&x.Params)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			var request *vectorfile.Message
			for i := range x.Messages {
				m := &x.Messages[i]
				if m.Request {
					request = m
				}
				if request.Mode == "det" {
					continue
				}
				ran++
				r := &run{world: w, m: m, request: request, depth: Quick}
				for direction, f := range map[string]func() error{"forward": r.forward, "backward": r.backward, "mutated": r.mutated} {
					t.Run(proven(x, m, direction)+x.Name+" message "+string(rune('0'+i))+" "+direction, func(t *testing.T) {
						if err := f(); err != nil {
							t.Fatal(err)
						}
					})
				}
			}
		}
	})
	if ran < 500 {
		t.Fatalf("only %d messages ran", ran)
	}
}

func TestNonconforming(t *testing.T) {
	for name, want := range map[string]Outcome{
		"nonconf-001-aes-cbc":                Skipped,
		"nonconf-005-observe-nonempty-inner": Reported,
		"nonconf-006-max-age-copied-outside": Reported,
	} {
		t.Run(name, func(t *testing.T) {
			out := RunFile(filepath.Join("testdata/californium/nonconforming", name+".json"))
			if len(out) != 1 || out[0].Outcome != want || out[0].Detail == "" {
				t.Fatalf("%+v", out)
			}
		})
	}
}
