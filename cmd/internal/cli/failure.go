package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes that mean the same in every command. The root command's help of
// each lists all of its own.
const (
	ExitOK      = 0
	ExitFailed  = 1
	ExitUsage   = 2
	ExitPartial = 3
)

// Failure is an error with the exit code that it ends the command with and a
// hint: what to do about it.
type Failure struct {
	Code int
	Err  error
	Hint string
}

// Error returns the text of Err.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// Fail makes a Failure; format and args are those of fmt.Errorf.
func Fail(code int, hint, format string, args ...any) error {
	return &Failure{Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// Report writes an error, each of its lines behind the name of the program,
// and the hint as a line of its own. It returns the exit code. Errors that are
// no Failure are given to classify.
func Report(w io.Writer, program string, err error, classify func(error) (code int, hint string)) int {
	var f *Failure
	code, hint := ExitFailed, ""
	if errors.As(err, &f) {
		code, hint = f.Code, f.Hint
	} else if classify != nil {
		code, hint = classify(err)
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintf(w, "%s: %s\n", program, Printable(line))
	}
	if hint != "" {
		fmt.Fprintln(w, "hint:", hint)
	}
	return code
}
