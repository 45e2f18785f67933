package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

const jsonType = "application/json"

// readJSON reads the body of r into v. The error is a *Problem.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mt != jsonType {
		return problem(http.StatusUnsupportedMediaType, "media-type", "the body is not application/json", "send Content-Type: application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("the body is larger than %d bytes", maxBody), "")
		}
		return problem(http.StatusBadRequest, "malformed", "the body could not be read", "")
	}
	if err := decode(body, v); err != nil {
		return problem(http.StatusBadRequest, "malformed", "body: "+err.Error(), "see the resource's description for its members")
	}
	return nil
}

// noBody refuses a request that brings a body where none is expected.
func noBody(r *http.Request) error {
	var one [1]byte
	if n, _ := r.Body.Read(one[:]); n > 0 {
		return problem(http.StatusBadRequest, "malformed", "no body is expected here", "")
	}
	return nil
}

// decode is encoding/json without its leniencies: one value, no unknown
// members, no duplicate or differently-cased names, valid UTF-8.
func decode(body []byte, v any) error {
	if !utf8.Valid(body) {
		return errors.New("not UTF-8")
	}
	if err := unique(json.NewDecoder(bytes.NewReader(body)), 0); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one value")
	}
	return nil
}

const maxDepth = 16 // the deepest body has three levels

// unique walks one value and refuses names that occur twice in an object, even
// in another case, which encoding/json would merge.
func unique(dec *json.Decoder, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	tok, err := dec.Token()
	if err != nil {
		return short(err)
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			tok, err := dec.Token()
			if err != nil {
				return short(err)
			}
			name := strings.ToLower(fmt.Sprint(tok))
			if seen[name] {
				return fmt.Errorf("%q occurs twice", tok)
			}
			seen[name] = true
		}
		if err := unique(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return short(err)
}

func short(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
	return nil
}
