package cose

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

func TestCredentialsOfExchanges(t *testing.T) {
	t.Parallel()
	for _, v := range loadExchanges(t).Credentials {
		t.Run(fmt.Sprintf("%v of %s", v.Crv, v.Source), func(t *testing.T) {
			raw := unhex(t, v.Cred)
			c, err := ParseCredential(FormatCCS, raw)
			if err != nil {
				t.Fatal(err)
			}
			k := c.PublicKey()
			if k.Kty() != v.Kty || k.Curve() != v.Crv || !bytes.Equal(k.X(), unhex(t, v.X)) || !bytes.Equal(k.Y(), unhex(t, v.Y)) {
				t.Errorf("key %v %v %x %x", k.Kty(), k.Curve(), k.X(), k.Y())
			}
			if !bytes.Equal(c.Bytes(), raw) || c.Format() != FormatCCS || c.Len() != len(raw) || !bytes.Equal(c.AppendTo([]byte{1}), append([]byte{1}, raw...)) {
				t.Error("not the bytes that came")
			}
		})
	}
}

func TestNewCCS(t *testing.T) {
	t.Parallel()
	for _, crv := range supportedCurves {
		for _, subject := range []string{"", "lamp-1", "Lampe für oben"} {
			t.Run(fmt.Sprintf("GO-2.4-3 %v %q", crv, subject), func(t *testing.T) {
				pub := newKey(t, crv, 1).Public()
				c, err := NewCCS(subject, pub)
				if err != nil {
					t.Fatal(err)
				}
				if c.Subject() != subject || !c.PublicKey().Equal(pub) || c.Format() != FormatCCS {
					t.Errorf("%q %v", c.Subject(), c.Format())
				}
				again, err := ParseCredential(FormatCCS, c.Bytes())
				if err != nil || !again.Equal(c) || !c.Equal(again) {
					t.Error(err)
				}
				var m map[int]any
				if err := cborx.Unmarshal(c.Bytes(), &m); err != nil {
					t.Fatal(err)
				}
				if det, err := cborx.Marshal(m); err != nil || !bytes.Equal(det, c.Bytes()) {
					t.Errorf("encoded %x, deterministic is %x", c.Bytes(), det)
				}
			})
		}
	}
	t.Run("nonsense is refused", func(t *testing.T) {
		if _, err := NewCCS("x", nil); !errors.Is(err, ErrCredential) {
			t.Error(err)
		}
		if _, err := NewCCS("\xff", newKey(t, CurveP256, 1).Public()); !errors.Is(err, ErrCredential) {
			t.Error(err)
		}
	})
}

func TestParseCredential(t *testing.T) {
	t.Parallel()
	c, err := NewCCS("lamp", newKey(t, CurveEd25519, 1).Public())
	if err != nil {
		t.Fatal(err)
	}
	raw := c.Bytes()
	key, err := c.PublicKey().MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("GO-2.4-5 an encoding that is not deterministic is kept as it came", func(t *testing.T) {
		odd := append(unhex(t, "b802 08 a1 1801"), key...)
		odd = append(odd, unhex(t, "1802 7804 6c616d70")...)
		o, err := ParseCredential(FormatCCS, odd)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(o.Bytes(), odd) || o.Subject() != "lamp" {
			t.Errorf("%x, subject %q", o.Bytes(), o.Subject())
		}
		if o.Equal(c) || !o.PublicKey().Equal(c.PublicKey()) {
			t.Error("same key, other bytes: must be another credential")
		}
	})
	t.Run("GO-2.4-6 an outer tag is stripped and nothing else", func(t *testing.T) {
		for _, tag := range []string{"d83d", "d9003d", "d90259"} {
			o, err := ParseCredential(FormatCCS, append(unhex(t, tag), raw...))
			if err != nil || !o.Equal(c) {
				t.Errorf("tag %s: %v", tag, err)
			}
		}
	})
	t.Run("the caller's bytes are copied", func(t *testing.T) {
		in := bytes.Clone(raw)
		o, err := ParseCredential(FormatCCS, in)
		if err != nil {
			t.Fatal(err)
		}
		clear(in)
		o.Bytes()[0] = 0
		if !o.Equal(c) || !o.PublicKey().Equal(c.PublicKey()) {
			t.Error("changed from outside")
		}
	})
	t.Run("Equal of nothing", func(t *testing.T) {
		if c.Equal(nil) || (*Credential)(nil).Equal(c) {
			t.Error("equal to nothing")
		}
	})
	t.Run("unknown formats are refused", func(t *testing.T) {
		for _, f := range []CredentialFormat{0, 11, 22, 34, -1} {
			if _, err := ParseCredential(f, raw); !errors.Is(err, ErrCredentialFormat) {
				t.Errorf("%v: %v", f, err)
			}
		}
	})
	t.Run("as another format it is refused", func(t *testing.T) {
		for _, f := range []CredentialFormat{FormatCWT, FormatX5Chain, FormatX5Bag, FormatC509Chain, FormatC509Bag} {
			if _, err := ParseCredential(f, raw); !errors.Is(err, ErrCredential) {
				t.Errorf("%v: %v", f, err)
			}
		}
	})
	with := func(prefix string, b []byte) []byte { return append(unhex(t, prefix), b...) }
	for name, b := range map[string][]byte{
		"nothing":                 nil,
		"only a tag":              unhex(t, "d83d"),
		"another tag":             with("d2", raw),
		"two tags":                with("d83dd83d", raw),
		"a COSE_Key":              key,
		"trailing byte":           append(bytes.Clone(raw), 0),
		"cut":                     raw[:len(raw)-1],
		"as a byte string":        cborx.AppendBytes(nil, raw),
		"in an array":             with("81", raw),
		"no cnf":                  unhex(t, "a1 02 61 61"),
		"null cnf":                unhex(t, "a1 08 f6"),
		"empty cnf":               unhex(t, "a1 08 a0"),
		"cnf with a kid":          unhex(t, "a1 08 a1 03 41 01"),
		"cnf with key and kid":    append(with("a1 08 a2 01", key), 3, 0x41, 1),
		"text subject missing":    append(unhex(t, "a2 02 41 61 08 a1 01"), key...),
		"duplicate cnf":           append(append(with("a2 08 a1 01", key), unhex(t, "08 a1 01")...), key...),
		"indefinite length":       append(with("bf 08 a1 01", key), 0xff),
		"boolean claim key":       append(with("a2 08 a1 01", key), 0xf5, 1),
		"subject is not UTF-8":    append(unhex(t, "a2 02 61 ff 08 a1 01"), key...),
		"key is a symmetric key":  unhex(t, "a1 08 a1 01 a2 01 04 20 41 01"),
		"key of small order":      with("a1 08 a1 01 a3 01 01 20 06 21 5820", unhex(t, smallOrder[4])),
		"key holds its secret":    append(append(with("a1 08 a1 01 a4", key[1:]), 0x23, 0x58, 0x20), make([]byte, 32)...),
		"unknown curve":           with("a1 08 a1 01 a3 01 01 20 08 21 5839", make([]byte, 57)),
		"certificate, not a CCS":  unhex(t, "3081ee3081a1a003020102020462319ec4300506032b6570"),
		"nested deeper than ever": bytes.Repeat([]byte{0xa1, 0x08}, 30),
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			if c, err := ParseCredential(FormatCCS, b); !errors.Is(err, ErrCredential) || c != nil {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	t.Run("the cause of a refused key is told", func(t *testing.T) {
		_, err := ParseCredential(FormatCCS, with("a1 08 a1 01 a3 01 01 20 06 21 5820", unhex(t, smallOrder[4])))
		if !errors.Is(err, ErrKey) {
			t.Error(err)
		}
		_, err = ParseCredential(FormatCCS, with("a1 08 a1 01 a3 01 01 20 08 21 5839", make([]byte, 57)))
		if !errors.Is(err, ErrUnsupportedKey) {
			t.Error(err)
		}
	})
}

func TestClaims(t *testing.T) {
	t.Parallel()
	key, err := newKey(t, CurveEd25519, 1).Public().MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	set := func(head string) []byte { return append(unhex(t, head+"08 a1 01"), key...) }
	t.Run("claims are there as they came", func(t *testing.T) {
		c, err := ParseCredential(FormatCCS, set("a3 01 63 6d7921 1864 82 1801 f6"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.Claim(1), unhex(t, "63 6d7921")) || !bytes.Equal(c.Claim(100), unhex(t, "82 1801 f6")) || c.Claim(2) != nil {
			t.Errorf("%x %x %x", c.Claim(1), c.Claim(100), c.Claim(2))
		}
	})
	for head, want := range map[string][2]int64{
		"a1":                               {0, 0},
		"a2 05 0a":                         {10, 0},
		"a2 04 0a":                         {0, 9},
		"a3 04 1a 63b0cd00 05 1a 63b0cc00": {0x63b0cc00, 0x63b0ccff},
		"a3 04 f9 4900 05 f9 4940":         {10, 9}, // 10.0, 10.5
		"a2 05 fb 41d8ec334000 0000":       {1672531200, 0},
		"a2 05 29":                         {-10, 0},
	} {
		t.Run("times of "+head, func(t *testing.T) {
			c, err := ParseCredential(FormatCCS, set(head))
			if err != nil {
				t.Fatal(err)
			}
			from, until := c.Validity()
			if from.IsZero() != (want[0] == 0) || until.IsZero() != (want[1] == 0) || !from.IsZero() && from.Unix() != want[0] || !until.IsZero() && until.Unix() != want[1] {
				t.Errorf("%v %v", from, until)
			}
		})
	}
	for _, head := range []string{"a2 04 60", "a2 04 f6", "a2 04 f5", "a2 04 c1 0a", "a2 05 f9 7e00", "a2 05 f9 7c00", "a2 05 1b 0000010000000000", "a2 05 fb 7e37e43c8800759c", "a2 04 1b ffffffffffffffff"} {
		t.Run("no times: "+head, func(t *testing.T) {
			if _, err := ParseCredential(FormatCCS, set(head)); !errors.Is(err, ErrCredential) {
				t.Error(err)
			}
		})
	}
}

func FuzzParseCredential(f *testing.F) {
	formats := []CredentialFormat{FormatCCS, FormatCWT, FormatX5Chain, FormatX5Bag, FormatC509Chain, FormatC509Bag}
	for _, v := range loadExchanges(f).Credentials {
		f.Add(uint8(0), unhex(f, v.Cred))
	}
	f.Add(uint8(0), unhex(f, "d83da108a101"))
	for _, crv := range supportedCurves {
		pub := newKey(f, crv, 1).Public()
		cwt, err := NewCWT("lamp", pub, AlgEdDSA, newKey(f, CurveEd25519, 2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(1), append([]byte{0xd8, 0x3d, 0xd2}, cwt.Bytes()...))
		f.Add(uint8(3), pack(issue(f, pub), issue(f, pub, authority)))
		f.Add(uint8(5), pack(nativeC509(f, pub)))
	}
	f.Fuzz(func(t *testing.T, format uint8, raw []byte) {
		checkCredential(t, formats[int(format)%len(formats)], raw)
	})
}
