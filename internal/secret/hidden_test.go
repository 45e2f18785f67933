package secret_test

import (
	"encoding/json"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/internal/secret/secrettest"
)

// record is as packages keep them in sealed stores.
type record struct {
	Schema uint8         `cbor:"0,keyasint"`
	Key    secret.Hidden `cbor:"1,keyasint"`
	Other  secret.Hidden `cbor:"2,keyasint,omitempty"`
}

type plain struct {
	Schema uint8        `cbor:"0,keyasint"`
	Key    secret.Bytes `cbor:"1,keyasint"`
	Other  secret.Bytes `cbor:"2,keyasint,omitempty"`
}

func TestHidden(t *testing.T) {
	t.Parallel()
	key := []byte("\x01\x02top-secret-key")
	t.Run("nothing prints it, whatever holds it", func(t *testing.T) {
		t.Parallel()
		h := secret.Hide(key)
		secrettest.Printed(t, h, key)
		secrettest.Printed(t, record{Key: h}, key)
		secrettest.Printed(t, struct{ h secret.Hidden }{h}, key)
	})
	t.Run("absent is not empty", func(t *testing.T) {
		t.Parallel()
		none, empty := secret.Hide(nil), secret.Hide([]byte{})
		if !none.IsZero() || none.Bytes() != nil || none.Clone().Bytes() != nil || empty.IsZero() || empty.Bytes() == nil || empty.Clone().Bytes() == nil || none.Len()+empty.Len() != 0 {
			t.Fatal("they are alike")
		}
	})
	t.Run("it is compared and copied", func(t *testing.T) {
		t.Parallel()
		h := secret.Hide([]byte{1, 2, 3})
		c := h.Clone()
		h.Bytes().Wipe()
		if !c.Equal([]byte{1, 2, 3}) || h.Equal([]byte{1, 2, 3}) || c.Len() != 3 || c.Equal(nil) {
			t.Fatal("wrong")
		}
	})
	t.Run("in a record it is a byte string, as secret.Bytes is", func(t *testing.T) {
		t.Parallel()
		for _, v := range []plain{{1, key, key}, {Schema: 1, Key: key}, {Schema: 1, Key: []byte{}}} {
			want, err := cborx.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			got, err := cborx.Marshal(record{v.Schema, secret.Hide(v.Key), secret.Hide(v.Other)})
			if err != nil || string(got) != string(want) {
				t.Fatalf("%x, not %x: %v", got, want, err)
			}
			var back record
			if err := cborx.Unmarshal(want, &back); err != nil || !back.Key.Equal(v.Key) || !back.Other.Equal(v.Other) || back.Other.IsZero() != (v.Other == nil) {
				t.Fatalf("%v, %v", back, err)
			}
		}
	})
	t.Run("text and JSON cannot be read back", func(t *testing.T) {
		t.Parallel()
		b, err := json.Marshal(map[string]secret.Hidden{"k": secret.Hide(key)})
		if err != nil || string(b) != `{"k":"[redacted]"}` {
			t.Fatal(string(b), err)
		}
		var h secret.Hidden
		if json.Unmarshal(b[5:17], &h) == nil || h.UnmarshalText([]byte("x")) == nil || !h.IsZero() {
			t.Fatal("read")
		}
	})
}
