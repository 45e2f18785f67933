package vectorrun

import (
	"fmt"
	"io"
)

// Outcome is how one check ended.
type Outcome int

const (
	Passed Outcome = iota
	Failed
	Skipped
	Reported // of a vector that does not conform; counts nowhere
)

func (o Outcome) String() string {
	return [...]string{"pass", "FAIL", "skip", "report"}[o]
}

// Result is one check.
type Result struct {
	Outcome Outcome
	Name    string // vector, message and direction
	Detail  string // why; empty if passed
}

// Summary counts results.
type Summary struct{ Passed, Failed, Skipped int }

// Add counts r.
func (s *Summary) Add(r Result) {
	switch r.Outcome {
	case Passed:
		s.Passed++
	case Failed:
		s.Failed++
	case Skipped:
		s.Skipped++
	}
}

// String is the last line of a run.
func (s Summary) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", s.Passed, s.Failed, s.Skipped)
}

// Print writes r as one line; passed checks only if verbose.
func (r Result) Print(w io.Writer, verbose bool) {
	if r.Outcome == Passed && !verbose {
		return
	}
	if r.Detail == "" {
		fmt.Fprintf(w, "%s %s\n", r.Outcome, r.Name)
		return
	}
	fmt.Fprintf(w, "%s %s: %s\n", r.Outcome, r.Name, r.Detail)
}
