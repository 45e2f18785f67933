package main

import (
	"errors"
	"net/http"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// Exit codes of this command beyond those of package cli; main.go and the help
// of the root command describe all.
const (
	exitUnreachable = 4
	exitNotFound    = 5
	exitRefused     = 6
)

// classify finds the exit code and the hint for what the operator's channel answers.
func classify(err error) (code int, hint string) {
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
			return cli.ExitUsage, p.Hint
		}
		return cli.ExitFailed, p.Hint
	}
	return cli.ExitFailed, ""
}
