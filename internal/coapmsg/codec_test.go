package coapmsg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func opt(id message.OptionID, v string) message.Option {
	return message.Option{ID: id, Value: []byte(v)}
}

func equal(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
}

func TestOptionsRoundTrip(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 300)
	cases := []struct {
		name    string
		opts    message.Options
		payload []byte
		wire    string // "" where only the round trip counts
	}{
		{"empty", nil, nil, ""},
		{"payload only", nil, []byte("x"), "ff78"},
		{"one byte delta", message.Options{opt(message.URIPath, "tv1")}, nil, "b3747631"},
		{"extended delta", message.Options{opt(Echo, "\x01")}, nil, "d1ef01"},
		{"two byte delta", message.Options{opt(RequestTag, "")}, []byte{0}, "e00017ff00"},
		{"extended length", message.Options{opt(message.URIPath, string(long[:13]))}, nil, "bd00" + hex.EncodeToString(long[:13])},
		{"two byte length", message.Options{{ID: 65000, Value: long}}, nil, ""},
		{"repeated and unknown", message.Options{opt(1, "a"), opt(1, "b"), opt(9999, ""), opt(65535, "z")}, []byte("p"), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := AppendOptions(nil, c.opts, c.payload)
			if c.wire != "" && hex.EncodeToString(b) != c.wire {
				t.Fatalf("got %x want %s", b, c.wire)
			}
			opts, payload, err := ParseOptions(b)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, opts, c.opts)
			equal(t, payload, c.payload)
		})
	}
	t.Run("unsorted input is sorted stably and left alone", func(t *testing.T) {
		in := message.Options{opt(11, "b"), opt(3, "h"), opt(11, "a")}
		opts, _, err := ParseOptions(AppendOptions(nil, in, nil))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, opts, message.Options{opt(3, "h"), opt(11, "b"), opt(11, "a")})
		equal(t, in[0], opt(11, "b"))
	})
}

func TestOptionsRefused(t *testing.T) {
	for name, wire := range map[string]string{
		"marker without payload":   "ff",
		"option then bare marker":  "10ff",
		"delta nibble 15":          "f0",
		"length nibble 15":         "0f",
		"delta extension missing":  "d0",
		"delta extension short":    "e000",
		"length extension missing": "0d",
		"length extension short":   "0e00",
		"value truncated":          "127a",
		"number above 65535":       "e0fff3" + "e0fff3",
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := ParseOptions(unhex(t, wire)); !errors.Is(err, ErrFormat) {
				t.Fatalf("error %v", err)
			}
			if _, _, err := ParseOptionsInto(nil, unhex(t, wire)); !errors.Is(err, ErrFormat) {
				t.Fatalf("error %v", err)
			}
		})
	}
	t.Run("64 options pass, 65 do not", func(t *testing.T) {
		if _, _, err := ParseOptions(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ParseOptions(make([]byte, 65)); !errors.Is(err, ErrTooManyOptions) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestDatagram(t *testing.T) {
	// RFC 8613, Appendix C.4.
	wire := unhex(t, "44015d1f00003974396c6f63616c686f737483747631")
	m, err := ParseDatagram(wire)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, m, message.Message{
		Type: message.Confirmable, Code: codes.GET, MessageID: 0x5d1f, Token: unhex(t, "00003974"),
		Options: message.Options{opt(message.URIHost, "localhost"), opt(message.URIPath, "tv1")},
	})
	b, err := AppendDatagram(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, b, wire)
}

func TestDatagramRefused(t *testing.T) {
	for name, c := range map[string]struct {
		wire string
		err  error
		mid  int32
	}{
		"short":                    {"400100", ErrFormat, -1},
		"version 0":                {"00010000", ErrVersion, -1},
		"version 2":                {"80010000", ErrVersion, -1},
		"token length 9":           {"49010007000000000000000000", ErrFormat, 7},
		"token truncated":          {"42010007aa", ErrFormat, 7},
		"empty with token":         {"41000007aa", ErrFormat, 7},
		"empty with payload":       {"40000007ff00", ErrFormat, 7},
		"options malformed":        {"40010007f0", ErrFormat, 7},
		"marker and no payload":    {"40010007ff", ErrFormat, 7},
		"too many options":         {"40010007" + hex.EncodeToString(make([]byte, 65)), ErrTooManyOptions, 7},
		"too many before a marker": {"40010007" + hex.EncodeToString(make([]byte, 65)) + "ff01", ErrTooManyOptions, 7},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseDatagram(unhex(t, c.wire))
			if !errors.Is(err, c.err) || m.MessageID != c.mid {
				t.Fatalf("error %v, message id %d", err, m.MessageID)
			}
		})
	}
	for name, m := range map[string]message.Message{
		"no type":         {Type: message.Unset, Code: codes.GET},
		"no message id":   {Type: message.Confirmable, Code: codes.GET, MessageID: -1},
		"wide code":       {Code: 256},
		"long token":      {Code: codes.GET, Token: make([]byte, 9)},
		"empty with more": {Code: codes.Empty, Payload: []byte{1}},
		"long value":      {Code: codes.GET, Options: message.Options{{ID: 1, Value: make([]byte, MaxOptionValue+1)}}},
	} {
		t.Run("encode "+name, func(t *testing.T) {
			if b, err := AppendDatagram([]byte{9}, m); !errors.Is(err, ErrValue) || len(b) != 1 {
				t.Fatalf("error %v, %x", err, b)
			}
		})
	}
}

func TestUnknownCritical(t *testing.T) {
	for name, c := range map[string]struct {
		opts message.Options
		id   message.OptionID
		bad  bool
	}{
		"all known":                    {message.Options{opt(3, "h"), opt(9, ""), opt(11, "a"), opt(11, "b"), opt(60, "")}, 0, false},
		"unknown elective":             {message.Options{opt(9998, "")}, 0, false},
		"unknown critical":             {message.Options{opt(9999, "")}, 9999, true},
		"if-match of nine bytes":       {message.Options{opt(1, "123456789")}, 1, true},
		"empty uri-host":               {message.Options{opt(3, "")}, 3, true},
		"uri-port twice":               {message.Options{opt(7, "a"), opt(7, "b")}, 7, true},
		"accept twice":                 {message.Options{opt(17, ""), opt(17, "")}, 17, true},
		"if-match twice is legal":      {message.Options{opt(1, "a"), opt(1, "b")}, 0, false},
		"elective of illegal length":   {message.Options{opt(message.ContentFormat, "abc")}, 0, false},
		"q-block1 is not known":        {message.Options{opt(QBlock1, "")}, QBlock1, true},
		"OS-2-5 second OSCORE option":  {message.Options{opt(9, "a"), opt(9, "b")}, 9, true},
		"OS-2-1 OSCORE above 255 long": {message.Options{{ID: 9, Value: make([]byte, 256)}}, 9, true},
	} {
		t.Run(name, func(t *testing.T) {
			if id, bad := UnknownCritical(c.opts); id != c.id || bad != c.bad {
				t.Fatalf("got %d %v", id, bad)
			}
		})
	}
	t.Run("elective faults are ignored", func(t *testing.T) {
		in := message.Options{opt(4, ""), opt(11, "a"), opt(12, ""), opt(12, "x"), opt(9998, "")}
		equal(t, IgnoreElective(in), message.Options{opt(11, "a"), opt(12, ""), opt(9998, "")})
		good := message.Options{opt(11, "a")}
		equal(t, IgnoreElective(good), good)
	})
}

func TestCodes(t *testing.T) {
	for c, want := range map[codes.Code][2]bool{
		0: {}, 1: {true, false}, 7: {true, false}, 31: {true, false}, 32: {}, 64: {false, true}, 69: {false, true},
		96: {}, 128: {false, true}, 191: {false, true}, 192: {}, 225: {}, 256: {}, 324: {},
	} {
		if IsRequest(c) != want[0] || IsResponse(c) != want[1] {
			t.Errorf("code %d", c)
		}
	}
	equal(t, CodeString(codes.Unauthorized), "4.01")
	equal(t, CodeString(HopLimitReached), "5.08")
}

func TestUint(t *testing.T) {
	for v, wire := range map[uint32]string{0: "", 1: "01", 255: "ff", 256: "0100", 1 << 24: "01000000"} {
		equal(t, hex.EncodeToString(EncodeUint(v)), wire)
		got, err := DecodeUint(unhex(t, wire))
		if err != nil || got != v {
			t.Fatalf("%d %v", got, err)
		}
	}
	if _, err := DecodeUint(make([]byte, 5)); !errors.Is(err, ErrFormat) {
		t.Fatal(err)
	}
}

func FuzzParseDatagram(f *testing.F) {
	f.Add(unhex(f, "44015d1f00003974396c6f63616c686f737483747631"))
	f.Add(unhex(f, "60457d01"))
	f.Add(unhex(f, "40010007d1ef01ffaa"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseDatagram(b)
		if err != nil {
			return
		}
		again, err := AppendDatagram(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		m2, err := ParseDatagram(again)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, m2, m)
		UnknownCritical(m.Options)
	})
}
