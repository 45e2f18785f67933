package coapmsg

import (
	"bytes"
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func split(t *testing.T, m message.Message) (message.Options, message.Options, []byte) {
	t.Helper()
	outer, pt, err := Split(m)
	if err != nil {
		t.Fatal(err)
	}
	inner, payload, err := ParseOptions(pt[1:])
	if err != nil {
		t.Fatal(err)
	}
	equal(t, codes.Code(pt[0]), m.Code)
	return outer, inner, payload
}

func TestSplit(t *testing.T) {
	t.Run("OS-5.3-1,OS-4.1.2-2 plaintext of RFC 8613 C.4", func(t *testing.T) {
		outer, pt, err := Split(message.Message{Code: codes.GET, Options: message.Options{opt(3, "localhost"), opt(11, "tv1")}})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, pt, unhex(t, "01b3747631"))
		equal(t, outer, message.Options{opt(3, "localhost")})
	})
	t.Run("OS-5.3-1 plaintext with payload of RFC 8613 C.7", func(t *testing.T) {
		_, pt, err := Split(message.Message{Code: codes.Content, Payload: []byte("Hello World!")})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, pt, unhex(t, "45ff48656c6c6f20576f726c6421"))
	})
	t.Run("OS-4.1.1-1,OS-4.1.1-2 class E goes inside only", func(t *testing.T) {
		in := message.Options{opt(1, "m"), opt(4, "e"), opt(5, ""), opt(8, "lp"), opt(11, "p"), opt(12, "\x3c"), opt(15, "q"), opt(17, ""), opt(20, "lq")}
		outer, inner, _ := split(t, message.Message{Code: codes.PUT, Options: in})
		equal(t, inner, in)
		equal(t, len(outer), 0)
	})
	t.Run("OS-4.1.1-3 class U stays outside only", func(t *testing.T) {
		in := message.Options{opt(3, "h"), opt(7, "\x16\x33"), opt(16, "\x08"), opt(39, "coap")}
		outer, inner, _ := split(t, message.Message{Code: codes.GET, Options: in})
		equal(t, outer, in)
		equal(t, len(inner), 0)
	})
	t.Run("OS-4.1.1-4,OS-4.1.3.1-1,OS-4.1.3.4.1-1,OS-4.1.3.6-1,OS-4.1.3.6-2 what may be in both goes inside", func(t *testing.T) {
		in := message.Options{opt(14, "\x05"), opt(23, "\x06"), opt(27, "\x06"), opt(28, "\x01"), opt(60, "\x01"), opt(252, "e"), opt(258, "\x1a"), opt(292, "r")}
		outer, inner, _ := split(t, message.Message{Code: codes.POST, Options: in})
		equal(t, inner, in)
		equal(t, len(outer), 0)
	})
	t.Run("OS-4.1-1 unknown options go inside", func(t *testing.T) {
		in := message.Options{opt(9998, "a"), opt(9999, "b")}
		outer, inner, _ := split(t, message.Message{Code: codes.GET, Options: in})
		equal(t, inner, in)
		equal(t, len(outer), 0)
	})
	for name, v := range map[string]string{"register": "", "cancel": "\x01"} {
		t.Run("OS-4.1.3.5.1-1,OS-4.1.3.5-2 Observe in a request: "+name, func(t *testing.T) {
			m := message.Message{Code: codes.GET, Options: message.Options{opt(6, v), opt(11, "p")}}
			outer, inner, _ := split(t, m)
			equal(t, outer, message.Options{opt(6, v)})
			equal(t, inner, m.Options)
			equal(t, OuterRequestCode(m), FETCH)
		})
	}
	t.Run("OS-4.1.3.5.2-3,OS-4.1.3.5.2-4,OS-4.1.3.5-3 Observe in a notification", func(t *testing.T) {
		m := message.Message{Code: codes.Content, Options: message.Options{opt(6, "\x07"), opt(12, "")}}
		outer, inner, _ := split(t, m)
		equal(t, outer, message.Options{opt(6, "\x07")})
		equal(t, inner, message.Options{opt(6, ""), opt(12, "")})
		equal(t, OuterResponseCode(m), codes.Content)
	})
	t.Run("OS-4.2-1,OS-4.1.3.5-3 outer codes without Observe", func(t *testing.T) {
		equal(t, OuterRequestCode(message.Message{Code: codes.GET}), codes.POST)
		equal(t, OuterResponseCode(message.Message{Code: codes.NotFound}), codes.Changed)
	})
	t.Run("OS-4.1.3.7-1 a message with an OSCORE option is not protected again", func(t *testing.T) {
		_, _, err := Split(message.Message{Code: codes.POST, Options: message.Options{opt(9, "")}})
		if !errors.Is(err, ErrNested) {
			t.Fatal(err)
		}
	})
	for _, c := range []codes.Code{codes.Empty, codes.CSM, codes.Ping, 33, 300} {
		t.Run("OS-4.3-4 left alone: code "+CodeString(c), func(t *testing.T) {
			if _, _, err := Split(message.Message{Code: c}); !errors.Is(err, ErrValue) {
				t.Fatal(err)
			}
		})
	}
	t.Run("options out of order", func(t *testing.T) {
		in := message.Options{opt(11, "a"), opt(3, "h"), opt(11, "b"), opt(6, "")}
		outer, inner, _ := split(t, message.Message{Code: codes.GET, Options: in})
		equal(t, outer, message.Options{opt(3, "h"), opt(6, "")})
		equal(t, inner, message.Options{opt(6, ""), opt(11, "a"), opt(11, "b")})
		equal(t, in[0], opt(11, "a"))
	})
}

func TestSplitProxyURI(t *testing.T) {
	for name, c := range map[string]struct {
		uri, outer string
		inner      message.Options
	}{
		"OS-4.1.3.3-1,OS-4.1.3.3-2,OS-4.1.3.3-3 path and query": {"coap://example.com/res?q=1", "coap://example.com", message.Options{opt(11, "res"), opt(15, "q=1")}},
		"OS-4.1.3.3-3 port":             {"coaps://[2001:db8::1]:5684/a/b", "coaps://[2001:db8::1]:5684", message.Options{opt(11, "a"), opt(11, "b")}},
		"OS-4.1.3.3-1 nothing to take":  {"coap://example.com/", "coap://example.com", nil},
		"OS-4.1.3.3-1 dot segments":     {"coap://h/a/../b/./c", "coap://h", message.Options{opt(11, "b"), opt(11, "c")}},
		"OS-4.1.3.3-2 percent encoding": {"coap://h/a%2Fb/?x%26y&z+", "coap://h", message.Options{opt(11, "a/b"), opt(11, ""), opt(15, "x&y"), opt(15, "z+")}},
	} {
		t.Run(name, func(t *testing.T) {
			m := message.Message{Code: codes.GET, Options: message.Options{opt(12, ""), opt(35, c.uri)}}
			outer, inner, _ := split(t, m)
			equal(t, outer, message.Options{opt(35, c.outer)})
			equal(t, Without(inner, 12), c.inner)
			if !Has(inner, 12) || Has(inner, 35) {
				t.Fatal("other options lost, or proxy-uri inside")
			}
		})
	}
	for name, opts := range map[string]message.Options{
		"relative":         {opt(35, "/a")},
		"opaque":           {opt(35, "coap:a")},
		"fragment":         {opt(35, "coap://h/a#f")},
		"user":             {opt(35, "coap://u@h/a")},
		"bad escape":       {opt(35, "coap://h/a%zz")},
		"escaped dots":     {opt(35, "coap://h/%2e%2e/a")},
		"bad query escape": {opt(35, "coap://h/?a%zz")},
		"empty":            {opt(35, "")},
		"with uri-path":    {opt(11, "a"), opt(35, "coap://h/a")},
		"twice":            {opt(35, "coap://h/a"), opt(35, "coap://h/b")},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			if _, _, err := Split(message.Message{Code: codes.GET, Options: opts}); !errors.Is(err, ErrProxyURI) {
				t.Fatal(err)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	request := message.Message{
		Code: codes.POST, Type: message.Confirmable, MessageID: 7, Token: []byte{1, 2}, Payload: []byte("cipher"),
		Options: message.Options{opt(3, "h"), opt(9, "\x01\x00")},
	}
	t.Run("OS-8.2-12,OS-4.2-2,OS-4.2-3 a request is rebuilt", func(t *testing.T) {
		m, err := Join(request, unhex(t, "01b3747631ff61"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, m, message.Message{
			Code: codes.GET, Type: message.Confirmable, MessageID: 7, Token: []byte{1, 2}, Payload: []byte("a"),
			Options: message.Options{opt(3, "h"), opt(11, "tv1")},
		})
	})
	t.Run("OS-8.4-6,OS-8.4-1 a response is rebuilt without outer ETag and Max-Age", func(t *testing.T) {
		m, err := Join(message.Message{Code: codes.Changed, Options: message.Options{opt(4, "x"), opt(9, ""), opt(14, "")}}, unhex(t, "45c0ff61"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, m.Code, codes.Content)
		equal(t, m.Options, message.Options{opt(12, "")})
		equal(t, m.Payload, []byte("a"))
	})
	for _, id := range []message.OptionID{1, 4, 5, 6, 8, 11, 12, 14, 15, 17, 20, 23, 27, 28, 60, 252, 258, 292} {
		t.Run("OS-8.2-1,OS-4.1.3.6-3,OS-D.5.2-1 outer option discarded: "+id.String(), func(t *testing.T) {
			o := request
			o.Options = Insert(append(message.Options{}, request.Options...), opt(id, "x"))
			m, err := Join(o, []byte{1})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, m.Options, message.Options{opt(3, "h")})
		})
	}
	for _, id := range []message.OptionID{9998, 9999} {
		t.Run("OS-8.2-13 unknown outer option discarded: "+id.String(), func(t *testing.T) {
			o := request
			o.Options = message.Options{opt(9, ""), opt(id, "x")}
			m, err := Join(o, []byte{1})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, len(m.Options), 0)
		})
	}
	t.Run("OS-4.1.3.5.1-5 inner Observe survives removal of the outer one", func(t *testing.T) {
		m, err := Join(request, []byte{1, 0x60})
		if err != nil {
			t.Fatal(err)
		}
		if !Has(m.Options, message.Observe) {
			t.Fatal("observe lost")
		}
	})
	for name, pt := range map[string]string{
		"empty":             "",
		"malformed options": "01f0",
		"truncated option":  "01b374",
		"bare marker":       "01ff",
		"too many options":  "01" + string(bytes.Repeat([]byte("00"), 65)),
		"inner OSCORE":      "0190",
		"inner Uri-Host":    "013161",
		"response code":     "45",
		"empty code":        "00",
		"signalling code":   "e1",
	} {
		t.Run("OS-5.3-2 refused plaintext: "+name, func(t *testing.T) {
			if _, err := Join(request, unhex(t, pt)); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooManyOptions) {
				t.Fatal(err)
			}
		})
	}
}

func FuzzSplitJoin(f *testing.F) {
	f.Add(byte(1), unhex(f, "396c6f63616c686f737483747631"))
	f.Add(byte(0x45), unhex(f, "6107ff48656c6c6f"))
	f.Fuzz(func(t *testing.T, code byte, b []byte) {
		opts, payload, err := ParseOptions(b)
		if err != nil || Has(opts, message.ProxyURI) {
			return
		}
		m := message.Message{Code: codes.Code(code), Options: opts, Payload: payload}
		outer, pt, err := Split(m)
		if err != nil {
			return
		}
		p := message.Message{Code: codes.POST, Options: outer}
		if IsResponse(m.Code) {
			p.Code = codes.Changed
		}
		got, err := Join(p, pt)
		if err != nil {
			t.Fatal(err)
		}
		if IsResponse(m.Code) { // Inner Observe is empty then
			m.Options = Without(m.Options, message.Observe)
			got.Options = Without(got.Options, message.Observe)
		}
		equal(t, got, m)
	})
}

func TestJoinManyOptions(t *testing.T) {
	outer := message.Message{Code: codes.POST, Options: message.Options{opt(3, "h"), opt(9, ""), opt(60, "x")}}
	t.Run("64 in all are kept", func(t *testing.T) {
		m, err := Join(outer, append([]byte{1, 0xb0}, make([]byte, 62)...))
		if err != nil || len(m.Options) != MaxOptions {
			t.Fatal(len(m.Options), err)
		}
	})
	t.Run("OS-5.3-2 65 are refused", func(t *testing.T) {
		if _, err := Join(outer, append([]byte{1, 0xb0}, make([]byte, 63)...)); !errors.Is(err, ErrTooManyOptions) {
			t.Fatal(err)
		}
	})
}

func FuzzJoin(f *testing.F) {
	f.Add(unhex(f, "01b3747631"))
	f.Add(unhex(f, "45ff48656c6c6f20576f726c6421"))
	f.Fuzz(func(t *testing.T, pt []byte) {
		outer := message.Message{Code: codes.POST, Options: message.Options{opt(3, "h"), opt(9, "")}}
		m, err := Join(outer, pt)
		if err != nil {
			return
		}
		o2, pt2, err := Split(m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Join(message.Message{Code: codes.POST, Options: o2}, pt2)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, again, m)
	})
}
