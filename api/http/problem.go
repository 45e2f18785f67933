package httpapi

import (
	"encoding/json"
	"net/http"
)

const problemType = "application/problem+json"

// Problem is the body of every error answer (RFC 9457), and the error that
// [Client] returns for it.
type Problem struct {
	Status int    `json:"status"`           // the HTTP status
	Title  string `json:"title"`            // the status in words
	Kind   string `json:"kind"`             // stable name of the kind of error, for programs
	Detail string `json:"detail,omitempty"` // what is wrong with this request
	Hint   string `json:"hint,omitempty"`   // what to do about it
}

// Error implements error: what is wrong, in one line.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// problem makes a Problem; kind is a stable name.
func problem(status int, kind, detail, hint string) *Problem {
	return &Problem{Status: status, Title: http.StatusText(status), Kind: kind, Detail: detail, Hint: hint}
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	body, err := json.Marshal(p)
	if err != nil { // four strings and a number always encode
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}
