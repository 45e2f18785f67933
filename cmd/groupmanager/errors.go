package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	httpapi "github.com/cohort-iot/cohort/api/http"
)

// The exit codes; main.go and the help of the root command describe them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 4
	exitNotFound    = 5
	exitRefused     = 6
)

// failure is an error with the exit code that it ends the command with and a
// hint: what to do about it.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code int, hint, format string, args ...any) error {
	return &failure{code: code, err: fmt.Errorf(format, args...), hint: hint}
}

// report writes an error as one line and its hint as another, and returns the
// exit code.
func report(w io.Writer, err error) int {
	code, hint := classify(err)
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintln(w, "groupmanager:", line)
	}
	if hint != "" {
		fmt.Fprintln(w, "hint:", hint)
	}
	return code
}

func classify(err error) (code int, hint string) {
	var f *failure
	if errors.As(err, &f) {
		return f.code, f.hint
	}
	var u *httpapi.UnreachableError
	if errors.As(err, &u) {
		return exitUnreachable, "start it with groupmanager run, or name its socket with --socket"
	}
	var p *httpapi.Problem
	if errors.As(err, &p) {
		switch p.Status {
		case http.StatusNotFound:
			return exitNotFound, p.Hint
		case http.StatusForbidden, http.StatusConflict:
			return exitRefused, p.Hint
		case http.StatusBadRequest, http.StatusUnprocessableEntity:
			return exitUsage, p.Hint
		}
		return exitFailed, p.Hint
	}
	return exitFailed, ""
}
