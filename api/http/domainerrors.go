package httpapi

import (
	"errors"
	"net/http"

	"github.com/cohort-iot/cohort/internal/manager"
)

// answer is how a kind of error is shown to an operator.
type answer struct {
	status int
	name   string
	hint   string
}

// kindAnswer maps each kind of the Group Manager's errors once.
func kindAnswer(k manager.Kind) (answer, bool) {
	switch k {
	case manager.KindInternal:
		return answer{http.StatusInternalServerError, "internal", "the log of groupmanager says more"}, true
	case manager.KindUnavailable:
		return answer{http.StatusServiceUnavailable, "unavailable", "it starts or stops; try again"}, true
	case manager.KindUnauthorized:
		return answer{http.StatusUnauthorized, "unauthorized", ""}, true
	case manager.KindForbidden:
		return answer{http.StatusForbidden, "forbidden", ""}, true
	case manager.KindNotFound, manager.KindTerminated:
		return answer{http.StatusNotFound, "not-found", "the lists of groups, members and identities show what there is"}, true
	case manager.KindDeleted:
		return answer{http.StatusNotFound, "deleted", ""}, true
	case manager.KindMalformed, manager.KindJoinInfo, manager.KindRole, manager.KindCredential, manager.KindProof, manager.KindNoSignatures:
		return answer{http.StatusBadRequest, "malformed", ""}, true
	case manager.KindNotMember, manager.KindVerifiersOnly:
		return answer{http.StatusForbidden, "not-member", ""}, true
	case manager.KindInactive:
		return answer{http.StatusConflict, "inactive", "activate the group first"}, true
	case manager.KindActive:
		return answer{http.StatusConflict, "active", "deactivate the group first"}, true
	case manager.KindNameUnavailable, manager.KindConflict:
		return answer{http.StatusConflict, "conflict", ""}, true
	case manager.KindConfiguration:
		return answer{http.StatusUnprocessableEntity, "configuration", ""}, true
	case manager.KindNoIndividualKey, manager.KindExhausted:
		return answer{http.StatusServiceUnavailable, "exhausted", ""}, true
	}
	return answer{}, false
}

// domainProblem is the problem for an error of one of the domains.
func domainProblem(err error) *Problem {
	if p := deviceProblem(err); p != nil {
		return p
	}
	if p := trustProblem(err); p != nil {
		return p
	}
	kind := manager.KindOf(err)
	a, ok := kindAnswer(kind)
	if !ok {
		a, _ = kindAnswer(manager.KindInternal)
	}
	detail := details(err)
	if a.status == http.StatusInternalServerError || detail == "" {
		detail = kind.String()
	}
	return problem(a.status, a.name, detail, a.hint)
}

// details joins what the errors of the Group Manager say for their peers; what
// caused them stays in the log.
func details(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		text := ""
		for _, e := range joined.Unwrap() {
			if d := details(e); d != "" {
				if text != "" {
					text += "; "
				}
				text += d
			}
		}
		return text
	}
	if e, ok := err.(*manager.Error); ok {
		return e.Detail
	}
	if next := errors.Unwrap(err); next != nil {
		return details(next)
	}
	return ""
}
