package conformance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

// State is what a test run says about one row.
type State int

// The states of a row.
const (
	NotYet        State = iota // no test bears its id, or only skipped ones do
	Proven                     // at least one leaf subtest passed and none failed
	Failing                    // a test that bears its id failed or did not end
	NotApplicable              // listed in exceptions.tsv
)

// Results is what a test run proves.
type Results struct {
	States map[string]State    // by row id; a row that is absent is NotYet
	Tests  map[string][]string // row id to the tests that bear it, "package Test/name"

	Packages int      // packages whose tests ran
	Passed   int      // leaf tests that passed
	Failed   int      // leaf tests that failed or did not end
	Skipped  int      // leaf tests that were skipped
	Broken   []string // packages that failed, sorted; a package that does not compile is one
	Errors   []string // ids no table knows, and excepted rows that a test claims; sorted

	Failures []Failure // what failed tests and packages wrote, sorted by name
}

// Failure is a test, or a package as a whole, that failed.
type Failure struct {
	Name   string // "package Test/name", or the package alone
	Output string
}

type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

type outcome struct {
	action    string // pass, fail, skip or "" while it runs
	output    strings.Builder
	hasChild  bool
	childFail bool
}

// Read takes the output of `go test -json` and works out the state of every
// row. Lines that are no JSON objects, which the go command writes when a
// package does not compile, are passed over.
func (t *Tables) Read(r io.Reader) (*Results, error) {
	run := newRun()
	if err := run.read(r); err != nil {
		return nil, err
	}
	res := &Results{States: map[string]State{}, Tests: map[string][]string{}}
	for pkg, o := range run.packages {
		switch o.action {
		case "pass":
			res.Packages++
		case "skip":
		default:
			res.Packages++
			res.Broken = append(res.Broken, pkg)
			res.fail(pkg, o)
		}
	}
	unknown := map[string]bool{}
	for pkg, tests := range run.tests {
		for name, o := range tests {
			parent := parentOf(tests, name)
			if parent != "" {
				tests[parent].hasChild = true
				if o.action != "pass" && o.action != "skip" {
					tests[parent].childFail = true
				}
			}
		}
		for name, o := range tests {
			if o.hasChild {
				continue
			}
			state := NotYet
			switch {
			case o.action == "skip":
				res.Skipped++
			case o.action == "pass" && !ancestorBroke(tests, name):
				res.Passed++
				state = Proven
			default:
				res.Failed++
				state = Failing
				res.fail(pkg+" "+name, o)
			}
			for _, id := range t.ids(leafName(tests, name)) {
				if _, ok := t.rows[id]; !ok {
					unknown[fmt.Sprintf("%s %s: no table has the id %s", pkg, name, id)] = true
					continue
				}
				if _, ok := t.Exceptions[id]; ok {
					unknown[fmt.Sprintf("%s %s: %s is listed in %s", pkg, name, id, ExceptionsFile)] = true
				}
				res.Tests[id] = append(res.Tests[id], pkg+" "+name)
				res.States[id] = worse(res.States[id], state)
			}
		}
	}
	for id := range t.Exceptions {
		res.States[id] = NotApplicable
	}
	for e := range unknown {
		res.Errors = append(res.Errors, e)
	}
	for id := range res.Tests {
		sort.Strings(res.Tests[id])
	}
	sort.Strings(res.Errors)
	sort.Strings(res.Broken)
	sort.Slice(res.Failures, func(i, j int) bool { return res.Failures[i].Name < res.Failures[j].Name })
	return res, nil
}

func (res *Results) fail(name string, o *outcome) {
	if text := o.output.String(); text != "" {
		res.Failures = append(res.Failures, Failure{Name: name, Output: text})
	}
}

// testRun is the last action of each test and of each package.
type testRun struct {
	tests    map[string]map[string]*outcome // by package and full name
	packages map[string]*outcome
}

func newRun() *testRun {
	return &testRun{tests: map[string]map[string]*outcome{}, packages: map[string]*outcome{}}
}

func (run *testRun) read(r io.Reader) error {
	br := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := br.ReadBytes('\n')
		if len(line) > 0 && line[0] == '{' {
			var e event
			if jerr := json.Unmarshal(line, &e); jerr != nil {
				return fmt.Errorf("read test events: %w", jerr)
			}
			run.note(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

// at returns the outcome that the event is about, or nil.
func (run *testRun) at(e event) *outcome {
	in, name := run.packages, e.Package
	switch {
	case e.Package == "":
		name = e.ImportPath
	case e.Test != "":
		if run.tests[e.Package] == nil {
			run.tests[e.Package] = map[string]*outcome{}
		}
		in, name = run.tests[e.Package], e.Test
	}
	if name == "" {
		return nil
	}
	if in[name] == nil {
		in[name] = &outcome{}
	}
	return in[name]
}

func (run *testRun) note(e event) {
	o := run.at(e)
	if o == nil {
		return
	}
	switch e.Action {
	case "output", "build-output":
		o.output.WriteString(e.Output)
	case "build-fail":
		o.action = "fail"
	case "pass", "fail", "skip":
		if o.action != "fail" { // of several runs (-count) the failure counts
			o.action = e.Action
		}
		if o.action != "fail" {
			o.output.Reset()
		}
	}
}

// parentOf returns the longest proper prefix of name, cut at a slash, that is
// itself a test of the run: the name of a subtest may hold slashes of its own.
func parentOf(tests map[string]*outcome, name string) string {
	for p := name; ; {
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return ""
		}
		p = p[:i]
		if _, ok := tests[p]; ok {
			return p
		}
	}
}

// leafName is the name that was given to the subtest itself; it is empty for a
// top-level test function.
func leafName(tests map[string]*outcome, name string) string {
	parent := parentOf(tests, name)
	if parent == "" {
		return ""
	}
	return name[len(parent)+1:]
}

// ancestorBroke reports whether a test above name failed of its own accord,
// that is without a failing subtest to explain it.
func ancestorBroke(tests map[string]*outcome, name string) bool {
	for p := parentOf(tests, name); p != ""; p = parentOf(tests, p) {
		if o := tests[p]; o.action != "pass" && o.action != "skip" && !o.childFail {
			return true
		}
	}
	return false
}

// ids returns the row ids at the head of the name of a subtest, in which the go
// command has replaced spaces by underscores.
func (t *Tables) ids(name string) []string {
	head, _, _ := strings.Cut(name, "_")
	if i := strings.LastIndexByte(head, '#'); i > 0 && strings.Trim(head[i+1:], "0123456789") == "" {
		head = head[:i]
	}
	var ids []string
	for _, id := range strings.Split(head, ",") {
		fam, rest, ok := strings.Cut(id, "-")
		if ok && rest != "" && t.families[fam] {
			ids = append(ids, id)
		} else if len(ids) > 0 {
			ids = append(ids, id) // a list that starts with an id holds nothing else
		}
	}
	return ids
}

func worse(a, b State) State {
	if a == Failing || b == Failing {
		return Failing
	}
	return max(a, b)
}
