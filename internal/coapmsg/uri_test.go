package coapmsg

import (
	"errors"
	"strings"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
)

func TestPathAndQuery(t *testing.T) {
	for text, segments := range map[string][]string{
		"/":                  nil,
		"/a":                 {"a"},
		"/a/b/":              {"a", "b", ""},
		"//":                 {"", ""},
		"/a%2Fb/%3F/%C3%A4":  {"a/b", "?", "ä"},
		"/%25:@!$&'()*+,;=~": {"%:@!$&'()*+,;=~"},
		"/...":               {"..."},
	} {
		t.Run("path "+text, func(t *testing.T) {
			opts, err := AppendPath(nil, 11, text)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, values(opts), segments)
			again, err := Path(append(message.Options{opt(3, "h")}, opts...), 11)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, again, strings.ReplaceAll(text, "&", "%26"))
		})
	}
	for text, arguments := range map[string][]string{
		"":             {""},
		"a=b&c":        {"a=b", "c"},
		"&":            {"", ""},
		"a%26b/?:@":    {"a&b/?:@"},
		"%22%23%7B%FF": {"\"#{\xff"},
	} {
		t.Run("query "+text, func(t *testing.T) {
			opts, err := AppendQuery(nil, 15, text)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, values(opts), arguments)
			again, ok := Query(opts, 15)
			equal(t, []any{again, ok}, []any{text, true})
		})
	}
	t.Run("no query", func(t *testing.T) {
		if _, ok := Query(message.Options{opt(11, "a")}, 15); ok {
			t.Fatal("found")
		}
	})
}

func values(opts message.Options) (out []string) {
	for _, o := range opts {
		out = append(out, string(o.Value))
	}
	return out
}

func TestPathRefused(t *testing.T) {
	for name, path := range map[string]string{
		"relative": "a", "dot": "/a/.", "dots": "/../a", "escaped dots": "/%2e%2E", "escape": "/%zz", "long": "/" + strings.Repeat("a", 256),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := AppendPath(nil, 11, path); !errors.Is(err, ErrValue) {
				t.Fatal(err)
			}
		})
	}
	t.Run("too many segments", func(t *testing.T) {
		if _, err := AppendPath(nil, 11, strings.Repeat("/a", 65)); !errors.Is(err, ErrTooManyOptions) {
			t.Fatal(err)
		}
	})
	for name, opts := range map[string]message.Options{
		"a single empty segment": {opt(11, "")},
		"a dot segment":          {opt(11, "a"), opt(11, "..")},
	} {
		t.Run("options: "+name, func(t *testing.T) {
			if _, err := Path(opts, 11); !errors.Is(err, ErrValue) {
				t.Fatal(err)
			}
		})
	}
}

func TestSplitURI(t *testing.T) {
	for uri, want := range map[string][]any{
		"coap://h":                 {"coap://h", "", "", false},
		"coap://h?":                {"coap://h", "", "", true},
		"coap://[fe80::1]:5/a%2Fb": {"coap://[fe80::1]:5", "/a%2Fb", "", false},
		"CoAP://H.example/a?b?c/d": {"CoAP://H.example", "/a", "b?c/d", true},
		"http://h/a/../b/./c":      {"http://h", "/b/c", "", false},
	} {
		t.Run(uri, func(t *testing.T) {
			base, path, query, has, err := SplitURI(uri)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, []any{base, path, query, has}, want)
		})
	}
}

// FuzzPath wants every path that parses back in one form.
func FuzzPath(f *testing.F) {
	f.Add("/a%2Fb/c/", "x&y=%26")
	f.Fuzz(func(t *testing.T, path, query string) {
		opts, err := AppendPath(nil, 11, path)
		if err != nil {
			return
		}
		if opts, err = AppendQuery(opts, 15, query); err != nil {
			return
		}
		p, err := Path(opts, 11)
		if err != nil {
			t.Fatal(err)
		}
		q, _ := Query(opts, 15)
		again, err := AppendPath(nil, 11, p)
		if err != nil {
			t.Fatal(err)
		}
		if again, err = AppendQuery(again, 15, q); err != nil {
			t.Fatal(err)
		}
		equal(t, again, opts)
	})
}
