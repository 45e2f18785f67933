package secrettest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// careless holds a value in ways that keep package fmt from calling its methods.
type careless[T any] struct {
	value   T
	pointer *T
	any     any
	list    []T
	keyed   map[string]T
}

// Printed fails t if a value, or something that holds it, prints one of the secrets with any verb, through log/slog or as JSON.
// Secrets shorter than 8 bytes are not looked for.
func Printed[T any](t *testing.T, v T, secrets ...[]byte) {
	t.Helper()
	held := careless[T]{v, &v, v, []T{v}, map[string]T{"k": v}}
	holders := map[string]any{"value": v, "pointer": &v, "held": held, "held by pointer": &held, "held twice": struct{ h *careless[T] }{&held}}
	for how, x := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%e", "%o", "%U"} {
			Shown(t, fmt.Sprintf("%T, %s, %s", v, how, verb), fmt.Sprintf(verb, x), secrets...)
		}
		var text, js bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", x)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("x", "v", x)
		Shown(t, fmt.Sprintf("%T, %s, slog text", v, how), text.String(), secrets...)
		Shown(t, fmt.Sprintf("%T, %s, slog JSON", v, how), js.String(), secrets...)
		if b, err := json.Marshal(x); err == nil {
			Shown(t, fmt.Sprintf("%T, %s, JSON", v, how), string(b), secrets...)
		}
	}
}

// Shown fails t if text shows one of the secrets in some encoding.
func Shown(t *testing.T, what, text string, secrets ...[]byte) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, s := range secrets {
		if len(s) < 8 {
			continue
		}
		s = s[:8] // as much of it is too much
		encodings := []string{
			fmt.Sprintf("%x", s), fmt.Sprintf("% x", s), strings.Trim(fmt.Sprint(s), "[]"), strings.ToLower(strings.Trim(fmt.Sprintf("%o", s), "[]")),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", s), "[]byte{"), "}"), strings.ToLower(strings.Trim(fmt.Sprintf("%U", s), "[]")),
		}
		for _, e := range encodings {
			if strings.Contains(lower, e) {
				t.Errorf("%s: a secret is printed: %.300s", what, text)
				return
			}
		}
		plain := base64.StdEncoding.EncodeToString(s[:6]) // a multiple of three: the same at the head of a longer one
		if strings.Contains(text, string(s)) || strings.Contains(text, plain) || strings.Contains(text, strings.NewReplacer("+", "-", "/", "_").Replace(plain)) {
			t.Errorf("%s: a secret is printed: %.300s", what, text)
			return
		}
	}
}
