package ace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/internal/secret"
)

func exampleEnrolment() *Enrolment {
	return &Enrolment{
		Device: "switch", Audience: "gm1", GM: "coap://127.0.0.1:5683",
		AS: EnrolmentAS{
			URI: "coap://127.0.0.1:5683/token", ID: []byte{1}, ASID: []byte{0},
			Secret: secret.Hide([]byte("a-planted-secret")), Salt: secret.Hide([]byte("saltsalt")),
		},
	}
}

func TestEnrolment(t *testing.T) {
	t.Parallel()
	t.Run("it is a JSON file of fixed members", func(t *testing.T) {
		t.Parallel()
		e := exampleEnrolment()
		b := must(e.Marshal())
		var plain map[string]any
		if err := json.Unmarshal(b, &plain); err != nil {
			t.Fatal(err)
		}
		as := plain["as"].(map[string]any)
		if plain["version"] != 1.0 || as["id"] != "01" || as["as_id"] != "00" || as["secret"] != "YS1wbGFudGVkLXNlY3JldA==" {
			t.Fatalf("%s", b)
		}
		got := must(ParseEnrolment(b))
		if !got.AS.Secret.Equal(e.AS.Secret.Bytes()) || !got.AS.Salt.Equal(e.AS.Salt.Bytes()) || got.GM != e.GM || got.Device != "switch" || got.Audience != "gm1" {
			t.Fatalf("parsed %+v", got)
		}
	})
	t.Run("the device's side of the static context has its identifiers", func(t *testing.T) {
		t.Parallel()
		p := exampleEnrolment().AS.Params()
		if err := p.Validate(); err != nil || !bytes.Equal(p.SenderID, []byte{1}) || !bytes.Equal(p.RecipientID, []byte{0}) {
			t.Fatalf("%+v, %v", p, err)
		}
	})
	t.Run("the secret does not print", func(t *testing.T) {
		t.Parallel()
		e := exampleEnrolment()
		js := string(must(json.Marshal(e)))
		for _, s := range []string{fmt.Sprint(e), fmt.Sprintf("%v %+v %#v %x", *e, *e, e, e.AS), js} {
			if strings.Contains(s, "planted") || strings.Contains(s, "YS1w") || strings.Contains(s, "612d706c") || strings.Contains(s, "97, 45") {
				t.Error(s)
			}
		}
	})
	t.Run("anything else is refused", func(t *testing.T) {
		t.Parallel()
		good := string(must(exampleEnrolment().Marshal()))
		change := func(old, new string) string {
			s := strings.Replace(good, old, new, 1)
			if s == good {
				t.Fatalf("%q is not in it", old)
			}
			return s
		}
		for name, in := range map[string]string{
			"empty": "", "array": "[]", "version 2": change(`"version": 1`, `"version": 2`), "unknown member": change(`"device"`, `"extra": 1, "device"`),
			"second value": good + "{}", "bytes after it": good + "x", "bracket after it": good + "]", "no device": change(`"switch"`, `""`), "secret too short": change("YS1wbGFudGVkLXNlY3JldA==", "YS0="),
			"id no hex": change(`"01"`, `"zz"`), "equal ids": change(`"01"`, `"00"`), "long id": change(`"01"`, `"0102030405060708"`),
			"http": change("coap://127.0.0.1:5683/token", "http://127.0.0.1/token"), "no GM": change(`"gm": "coap://127.0.0.1:5683"`, `"gm": ""`),
			"no base64": change("YS1wbGFudGVkLXNlY3JldA==", "%%%"), "too long": good + strings.Repeat(" ", maxEnrolment),
		} {
			if _, err := ParseEnrolment([]byte(in)); err == nil {
				t.Errorf("%s: accepted", name)
			} else {
				wantErr(t, err, ErrEnrolment)
			}
		}
	})
}

func FuzzParseEnrolment(f *testing.F) {
	fuzzObject(f, ParseEnrolment, func(e *Enrolment) []byte { return must(e.Marshal()) }, []error{ErrEnrolment}, must(exampleEnrolment().Marshal()))
}
