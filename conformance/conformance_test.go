package conformance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEmbedded(t *testing.T) {
	tables, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if len(tables.Tables) < 14 {
		t.Errorf("%d tables", len(tables.Tables))
	}
	n := 0
	for _, table := range tables.Tables {
		n += len(table.Rows)
	}
	if n < 2233 {
		t.Errorf("%d rows", n)
	}
	if r, ok := tables.Row("OS-2-1"); !ok || r.Level != "MUST" || r.Section != "2" {
		t.Errorf("row OS-2-1 = %+v, %v", r, ok)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"three columns":      {"a.tsv": "A-1\t1\tMUST\n"},
		"empty column":       {"a.tsv": "A-1\t\tMUST\tx\n"},
		"id with a space":    {"a.tsv": "A 1\t1\tMUST\tx\n"},
		"id with a comma":    {"a.tsv": "A-1,2\t1\tMUST\tx\n"},
		"id without dash":    {"a.tsv": "A1\t1\tMUST\tx\n"},
		"id twice":           {"a.tsv": "A-1\t1\tMUST\tx\n", "b.tsv": "A-1\t1\tMUST\tx\n"},
		"exception unknown":  {"a.tsv": "A-1\t1\tMUST\tx\n", ExceptionsFile: "A-2\twhy\n"},
		"exception no cause": {"a.tsv": "A-1\t1\tMUST\tx\n", ExceptionsFile: "A-1\t \n"},
		"exception twice":    {"a.tsv": "A-1\t1\tMUST\tx\n", ExceptionsFile: "A-1\twhy\nA-1\twhy\n"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for n, c := range files {
				fsys[n] = &fstest.MapFile{Data: []byte(c)}
			}
			if _, err := Load(fsys); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func small(t *testing.T) *Tables {
	t.Helper()
	var b strings.Builder
	for i := 1; i <= 9; i++ {
		fmt.Fprintf(&b, "A-%d\t1\tMUST\tdoes %d\n", i, i)
	}
	tables, err := Load(fstest.MapFS{
		"small.tsv":    {Data: []byte(b.String())},
		ExceptionsFile: {Data: []byte("# why not\nA-9\tno such thing here\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

func stream(lines ...string) *strings.Reader {
	var b strings.Builder
	for _, l := range lines {
		f := strings.Fields(l)
		switch {
		case f[0] == "raw":
			b.WriteString(strings.TrimPrefix(l, "raw "))
		case len(f) == 3:
			fmt.Fprintf(&b, `{"Action":%q,"Package":%q,"Test":%q}`, f[0], f[1], f[2])
		default:
			fmt.Fprintf(&b, `{"Action":%q,"Package":%q}`, f[0], f[1])
		}
		b.WriteByte('\n')
	}
	return strings.NewReader(b.String())
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []string
		want   map[string]State
		errors int
	}{
		{"passed leaf proves", []string{"run p T", "run p T/A-1_it_does", "pass p T/A-1_it_does", "pass p T", "pass p"},
			map[string]State{"A-1": Proven}, 0},
		{"several ids", []string{"run p T", "pass p T/A-1,A-2,A-3_x", "pass p T", "pass p"},
			map[string]State{"A-1": Proven, "A-2": Proven, "A-3": Proven}, 0},
		{"parent counts nothing", []string{"pass p T/A-1_x/leaf", "pass p T/A-1_x", "pass p T", "pass p"},
			map[string]State{"A-1": NotYet}, 0},
		{"slash in the name of a leaf", []string{"pass p T/A-1_of_a/b", "pass p T", "pass p"},
			map[string]State{"A-1": Proven}, 0},
		{"same name again", []string{"pass p T/A-1", "pass p T/A-1#01", "pass p T", "pass p"},
			map[string]State{"A-1": Proven}, 0},
		{"id at the head only", []string{"pass p T/see_A-1", "pass p T/AES-128_x", "pass p T", "pass p"},
			map[string]State{"A-1": NotYet}, 0},
		{"one failure anywhere", []string{"pass p T/A-1_x", "pass p T", "pass p", "fail q T/A-1_y", "fail q T", "fail q"},
			map[string]State{"A-1": Failing}, 0},
		{"skipped is not yet", []string{"skip p T/A-1_x", "pass p T", "pass p"},
			map[string]State{"A-1": NotYet}, 0},
		{"skipped elsewhere", []string{"skip p T/A-1_x", "pass p T/A-1_y", "pass p T", "pass p"},
			map[string]State{"A-1": Proven}, 0},
		{"panic leaves it unfinished", []string{"run p T", "run p T/A-1_x", "run p T/A-1_x", "fail p"},
			map[string]State{"A-1": Failing}, 0},
		{"parent failed by itself", []string{"pass p T/A-1_x", "fail p T", "fail p"},
			map[string]State{"A-1": Failing}, 0},
		{"sibling failed", []string{"pass p T/A-1_x", "fail p T/A-2_x", "fail p T", "fail p"},
			map[string]State{"A-1": Proven, "A-2": Failing}, 0},
		{"second of two runs passed", []string{"fail p T/A-1_x", "fail p T", "pass p T/A-1_x", "pass p T", "fail p"},
			map[string]State{"A-1": Failing}, 0},
		{"unknown id", []string{"pass p T/A-10_x", "pass p T/A-1,A-x_y", "pass p T", "pass p"},
			map[string]State{"A-1": Proven}, 2},
		{"excepted row claimed", []string{"pass p T/A-9_x", "pass p T", "pass p"},
			map[string]State{"A-9": NotApplicable}, 1},
		{"top level function is no claim", []string{"pass p A-1", "pass p"},
			map[string]State{"A-1": NotYet, "A-9": NotApplicable}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := small(t).Read(stream(c.events...))
			if err != nil {
				t.Fatal(err)
			}
			for id, want := range c.want {
				if got := res.States[id]; got != want {
					t.Errorf("%s: state %d, want %d", id, got, want)
				}
			}
			if len(res.Errors) != c.errors {
				t.Errorf("errors %q, want %d", res.Errors, c.errors)
			}
		})
	}
}

func TestReadBrokenPackage(t *testing.T) {
	res, err := small(t).Read(stream(
		`raw {"ImportPath":"p [p.test]","Action":"build-output","Output":"no\n"}`,
		`raw {"ImportPath":"p [p.test]","Action":"build-fail"}`,
		"start p", "fail p", "raw # p", "start q", "pass q"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(res.Broken, " "); got != "p p [p.test]" {
		t.Errorf("broken %q", got)
	}
	if _, err := small(t).Read(strings.NewReader("{no json\n")); err == nil {
		t.Error("a broken event was accepted")
	}
}

func TestPage(t *testing.T) {
	tables := small(t)
	res, err := tables.Read(stream("pass p T/A-1_x", "fail p T/A-2_x", "fail p T", "fail p", "pass p T/A-33_x"))
	if err != nil {
		t.Fatal(err)
	}
	var a, b bytes.Buffer
	if err := tables.WritePage(&a, res); err != nil {
		t.Fatal(err)
	}
	if err := tables.WritePage(&b, res); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("two pages of one run differ (%v)", err)
	}
	for _, want := range []string{
		"| all | 9 | 1 | 1 | 6 | 1 |", "| MUST | 9 | 1 | 1 | 6 | 1 |",
		"- A-2 (MUST): does 2\n  - `p T/A-2_x`", "Proven:\n\n- 1: A-1\n", "- 1: A-3 A-4 A-5 A-6 A-7 A-8\n",
		"- A-9 (MUST): no such thing here", "The tests of p failed", "no table has the id A-33",
	} {
		if !strings.Contains(a.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, a.String())
		}
	}
}

// TestRealRun feeds the reader with what the go command really writes for names
// with spaces, slashes, skips and failures.
func TestRealRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.org/x\n\ngo 1.26\n")
	write("x_test.go", `package x
import "testing"
func TestX(t *testing.T) {
	t.Run("A-1,A-2 two at once, 1/2 done", func(t *testing.T) {})
	t.Run("A-3 fails", func(t *testing.T) { t.Error("so it is") })
	t.Run("A-4 skipped", func(t *testing.T) { t.Skip("why") })
	t.Run("A-5 parent", func(t *testing.T) { t.Run("A-6 leaf", func(t *testing.T) {}) })
}
`)
	cmd := exec.Command("go", "test", "-json", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output()
	if len(out) == 0 {
		t.Fatalf("no output: %v", err)
	}
	res, err := small(t).Read(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]State{"A-1": Proven, "A-2": Proven, "A-3": Failing, "A-4": NotYet, "A-5": NotYet, "A-6": Proven}
	for id, s := range want {
		if res.States[id] != s {
			t.Errorf("%s: state %d, want %d", id, res.States[id], s)
		}
	}
	if len(res.Failures) != 2 || !strings.Contains(res.Failures[1].Output, "so it is") {
		t.Errorf("failures %+v", res.Failures)
	}
	if res.Passed != 2 || res.Failed != 1 || res.Skipped != 1 || len(res.Errors) != 0 {
		t.Errorf("%+v", res)
	}
}
