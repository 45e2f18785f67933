package coap

import (
	"errors"
	"log/slog"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/ace/groupcomm"
	"github.com/cohort-iot/cohort/internal/manager"
)

// Codes that go-coap does not name.
const (
	codeConflict codes.Code = 4<<5 | 9 // 4.09 (RFC 8132, Section 7)
)

// answer is what a kind of refusal looks like on the network.
type answer struct {
	code codes.Code
	id   groupcomm.ErrorID // -1: none
}

const noID groupcomm.ErrorID = -1

// kindAnswer maps each kind of the domain, once (RFC 9594, Sections 4.1.2 and 9;
// draft-ietf-ace-key-groupcomm-oscore-21, Section 13).
func kindAnswer(k manager.Kind) (answer, bool) {
	switch k {
	case manager.KindInternal:
		return answer{codes.InternalServerError, noID}, true
	case manager.KindUnavailable, manager.KindExhausted:
		return answer{codes.ServiceUnavailable, noID}, true
	case manager.KindUnauthorized:
		return answer{codes.Unauthorized, noID}, true
	case manager.KindForbidden:
		return answer{codes.Forbidden, noID}, true
	case manager.KindNotFound:
		return answer{codes.NotFound, noID}, true
	case manager.KindMalformed, manager.KindJoinInfo:
		return answer{codes.BadRequest, noID}, true
	case manager.KindNotMember:
		return answer{codes.Forbidden, groupcomm.ErrorMembersOnly}, true
	case manager.KindRole:
		return answer{codes.BadRequest, groupcomm.ErrorRolesInconsistent}, true
	case manager.KindCredential:
		return answer{codes.BadRequest, groupcomm.ErrorCredential}, true
	case manager.KindProof:
		return answer{codes.BadRequest, groupcomm.ErrorEvidence}, true
	case manager.KindNoIndividualKey:
		return answer{codes.ServiceUnavailable, groupcomm.ErrorNoMaterial}, true
	case manager.KindTerminated:
		return answer{codes.NotFound, groupcomm.ErrorTerminated}, true
	case manager.KindDeleted:
		return answer{codes.NotFound, groupcomm.ErrorGroupDeleted}, true
	case manager.KindNoSignatures:
		return answer{codes.BadRequest, groupcomm.ErrorNoSignatures}, true
	case manager.KindVerifiersOnly:
		return answer{codes.Forbidden, groupcomm.ErrorVerifiersOnly}, true
	case manager.KindInactive:
		return answer{codes.ServiceUnavailable, groupcomm.ErrorInactive}, true
	case manager.KindActive:
		return answer{codes.BadRequest, groupcomm.ErrorActive}, true
	case manager.KindNameUnavailable:
		return answer{codes.ServiceUnavailable, groupcomm.ErrorGroupName}, true
	case manager.KindConfiguration:
		return answer{codes.ServiceUnavailable, groupcomm.ErrorConfiguration}, true
	case manager.KindConflict:
		return answer{codeConflict, noID}, true
	}
	return answer{codes.InternalServerError, noID}, false
}

// refuse answers with what an error of the domain stands for: problem details
// for those with an error identifier, the group's parameters for a join that
// needs them, and else a diagnostic text. Causes go to the log only.
func (s *Server) refuse(w mux.ResponseWriter, r *mux.Message, err error) {
	kind := manager.KindOf(err)
	a, _ := kindAnswer(kind)
	var e *manager.Error
	detail := ""
	if errors.As(err, &e) {
		detail = e.Detail
	}
	level := slog.LevelInfo
	if kind == manager.KindInternal || kind == manager.KindUnavailable {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "request refused", "path", path(r), "code", a.code, "error", err)
	switch {
	case a.id != noID:
		s.send(w, a.code, ace.ContentFormatProblem, groupcomm.Problem{ID: a.id, Detail: detail}.Marshal())
	case kind == manager.KindJoinInfo:
		s.send(w, a.code, ace.ContentFormatGroupcomm, e.Info)
	case detail != "" && kind != manager.KindInternal:
		s.send(w, a.code, message.TextPlain, []byte(detail))
	default:
		s.send(w, a.code, 0, nil)
	}
}

func path(r *mux.Message) string {
	p, err := r.Path()
	if err != nil {
		return "?"
	}
	return p
}
