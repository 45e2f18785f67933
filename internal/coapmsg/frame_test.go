package coapmsg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/tcp/coder"
)

func TestFrames(t *testing.T) {
	for _, c := range []struct {
		name string
		m    message.Message
		wire string
	}{
		{"empty", message.Message{}, "0000"},
		{"RFC 8323, Section 3.2: 2.03 with a token", message.Message{Code: codes.Valid, Token: unhex(t, "7f")}, "01437f"},
		{"options and payload", message.Message{Code: codes.GET, Options: message.Options{opt(message.URIPath, "a")}, Payload: []byte("p")}, "4001b161ff70"},
		{"13 bytes of payload", message.Message{Code: codes.POST, Payload: make([]byte, 13)}, "d00102ff" + hex.EncodeToString(make([]byte, 13))},
		{"269 bytes", message.Message{Code: codes.POST, Payload: make([]byte, 268)}, "e0000002ff" + hex.EncodeToString(make([]byte, 268))},
		{"65805 bytes", message.Message{Code: codes.POST, Payload: make([]byte, 65804)}, "f00000000002ff" + hex.EncodeToString(make([]byte, 65804))},
		{"token of 13", message.Message{Code: codes.GET, Token: make([]byte, 13)}, "0d0100" + hex.EncodeToString(make([]byte, 13))},
		{"token of 269", message.Message{Code: codes.GET, Token: make([]byte, 269)}, "0e010000" + hex.EncodeToString(make([]byte, 269))},
	} {
		t.Run(c.name, func(t *testing.T) {
			prefix := []byte("before")
			b, err := AppendFrame(bytes.Clone(prefix), c.m)
			if err != nil {
				t.Fatal(err)
			}
			b, ok := bytes.CutPrefix(b, prefix)
			if !ok || hex.EncodeToString(b) != c.wire {
				t.Fatalf("got %.80x want %.80s", b, c.wire)
			}
			size, need, err := FrameSize(append(bytes.Clone(b), 1, 2, 3))
			if err != nil || need != 0 || size != uint64(len(b)) {
				t.Fatalf("size %d, need %d, %v", size, need, err)
			}
			for n := range min(len(b), 8) {
				size, need, err := FrameSize(b[:n])
				if err != nil || size != 0 && need != 0 || size == 0 && need <= n || size != 0 && size != uint64(len(b)) {
					t.Fatalf("%d bytes: size %d, need %d, %v", n, size, need, err)
				}
			}
			m, err := ParseFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			if code, token, err := FrameHead(b); err != nil || code != c.m.Code || !bytes.Equal(token, c.m.Token) {
				t.Fatalf("head %v %x, %v", code, token, err)
			}
			want := c.m
			want.Type, want.MessageID = message.Unset, -1
			equal(t, m, want)
		})
	}
}

func TestFramesRefused(t *testing.T) {
	for name, wire := range map[string]string{
		"nothing":                        "",
		"no code":                        "00",
		"length cut off":                 "e000",
		"token cut off":                  "0201aa",
		"token length 9":                 "0901" + "00112233445566778899",
		"token length 12":                "0c01" + "00112233445566778899aabbcc",
		"token length 15":                "0f01" + "00112233445566778899aabbcc",
		"extended token length cut off":  "0d01",
		"more than the frame":            "000100",
		"less than the frame":            "2001b1",
		"options malformed":              "1001f0",
		"payload marker without payload": "1001ff",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := ParseFrame(unhex(t, wire)); !errors.Is(err, ErrFormat) {
				t.Fatalf("%+v, %v", m, err)
			}
		})
	}
	for name, m := range map[string]message.Message{
		"code":          {Code: 0x100},
		"empty":         {Payload: []byte{1}},
		"token of 9":    {Code: codes.GET, Token: make([]byte, 9)},
		"token of 12":   {Code: codes.GET, Token: make([]byte, 12)},
		"token too big": {Code: codes.GET, Token: make([]byte, MaxExtendedToken+1)},
		"option":        {Code: codes.GET, Options: message.Options{{ID: 1, Value: make([]byte, 70000)}}},
	} {
		t.Run("cannot be encoded: "+name, func(t *testing.T) {
			if b, err := AppendFrame([]byte("x"), m); !errors.Is(err, ErrValue) || string(b) != "x" {
				t.Fatalf("%x, %v", b, err)
			}
			m.Type, m.MessageID = message.Confirmable, 1
			if b, err := AppendDatagram([]byte("x"), m); !errors.Is(err, ErrValue) || string(b) != "x" {
				t.Fatalf("%x, %v", b, err)
			}
		})
	}
}

func TestExtendedTokensInDatagrams(t *testing.T) {
	for _, n := range []int{0, 1, 8, 13, 268, 269, 60000} {
		m := message.Message{Type: message.Confirmable, Code: codes.GET, MessageID: 7, Token: make([]byte, n), Options: message.Options{opt(11, "a")}}
		b, err := AppendDatagram(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseDatagram(b)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, m)
		if n > 0 {
			if _, err := ParseDatagram(b[:4+n/2]); !errors.Is(err, ErrFormat) {
				t.Fatalf("token of %d bytes cut off: %v", n, err)
			}
		}
	}
}

// FuzzFrame checks that whatever is read is written back the same, and agrees
// with another implementation where that one knows the message.
func FuzzFrame(f *testing.F) {
	for _, h := range []string{"0000", "01457f", "4001b161ff70", "0d0100" + "00112233445566778899aabbcc", "d00102ff01010101010101010101010101", "00e1", "30e1212480"} {
		b, err := hex.DecodeString(h)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseFrame(b)
		if err != nil || m.Code == codes.Empty {
			return
		}
		again, err := AppendFrame(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseFrame(again)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, back, m)
		if len(m.Token) > message.MaxTokenSize {
			return
		}
		// Options come back as they were; unknown ones the other keeps too.
		var h coder.MessageHeader
		if _, err := coder.DefaultCoder.DecodeHeader(b, &h); err != nil || uint64(h.MessageLength) != uint64(len(b)) || h.Code != m.Code || !bytes.Equal(h.Token, m.Token) {
			t.Fatalf("%+v, %v; ours %+v", h, err, m)
		}
	})
}
