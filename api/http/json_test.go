package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type sample struct {
	Name  string            `json:"name"`
	Roles map[string]string `json:"roles,omitempty"`
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, body string
		ok         bool
	}{
		{"plain", `{"name":"a"}`, true},
		{"nested", `{"name":"a","roles":{"x":"y"}}`, true},
		{"space around", " {\"name\":\"a\"}\n", true},
		{"unknown member", `{"name":"a","nam":"b"}`, false},
		{"twice", `{"name":"a","name":"b"}`, false},
		{"twice in another case", `{"name":"a","NAME":"b"}`, false},
		{"twice further down", `{"roles":{"x":"1","x":"2"}}`, false},
		{"trailing value", `{"name":"a"} {}`, false},
		{"trailing bytes", `{"name":"a"}]`, false},
		{"wrong type", `{"name":1}`, false},
		{"no object", `[]`, false},
		{"cut", `{"name":"a"`, false},
		{"empty", ``, false},
		{"not UTF-8", "{\"name\":\"\xff\"}", false},
		{"too deep", strings.Repeat("[", 100) + strings.Repeat("]", 100), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v sample
			if err := decode([]byte(c.body), &v); (err == nil) != c.ok {
				t.Errorf("error %v, want ok %v", err, c.ok)
			} else if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"a","roles":{"x":"y"}}`))
	f.Add([]byte(`{"name":"a","name":"b"}`))
	f.Add([]byte(`[[[[{}]]]]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var v sample
		if decode(body, &v) != nil {
			return
		}
		if len(body) == 0 {
			t.Error("nothing was accepted")
		}
	})
}

func TestReadJSON(t *testing.T) {
	for _, c := range []struct {
		name, media, body string
		status            int
	}{
		{"json", "application/json", `{"name":"a"}`, 0},
		{"json with a parameter", "application/json; charset=utf-8", `{"name":"a"}`, 0},
		{"form", "application/x-www-form-urlencoded", "name=a", http.StatusUnsupportedMediaType},
		{"no media type", "", `{"name":"a"}`, http.StatusUnsupportedMediaType},
		{"malformed", "application/json", `{`, http.StatusBadRequest},
		{"too large", "application/json", `{"name":"` + strings.Repeat("a", maxBody) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.media)
			var v sample
			err := readJSON(httptest.NewRecorder(), r, &v)
			var p *Problem
			switch {
			case c.status == 0 && err != nil:
				t.Error(err)
			case c.status != 0 && (!errors.As(err, &p) || p.Status != c.status):
				t.Errorf("error %v, want a problem with status %d", err, c.status)
			}
		})
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader("x"))
	if noBody(r) == nil {
		t.Error("a body was accepted where none is expected")
	}
	if err := noBody(httptest.NewRequest("POST", "/", nil)); err != nil {
		t.Error(err)
	}
}
