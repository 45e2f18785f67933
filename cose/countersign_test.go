package cose

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cohort-iot/cohort/internal/cborx"
)

func TestCountersignStructure(t *testing.T) {
	t.Parallel()
	t.Run("GO-3.1-2 five elements by default", func(t *testing.T) {
		var form CountersignForm
		got := AppendCountersignStructure(nil, form, []byte{1}, []byte{2})
		if want := unhex(t, "85 71 436f756e7465725369676e617475726530 40 40 4101 4102"); !bytes.Equal(got, want) || form != CountersignFive {
			t.Errorf("%x", got)
		}
	})
	t.Run("GO-3.1-2 four elements as an option", func(t *testing.T) {
		got := AppendCountersignStructure([]byte{9}, CountersignFour, []byte{1}, []byte{2})
		if want := unhex(t, "09 84 71 436f756e7465725369676e617475726530 40 4101 4102"); !bytes.Equal(got, want) {
			t.Errorf("%x", got)
		}
	})
	for i, v := range loadExchanges(t).Signatures {
		t.Run(fmt.Sprintf("GO-3.1-2 %d of %s, %d elements", i, v.Source, v.Elements), func(t *testing.T) {
			form := CountersignFive
			if v.Elements == 4 {
				form = CountersignFour
			}
			aad, ct := unhex(t, v.ExternalAAD), unhex(t, v.Ciphertext)
			got := AppendCountersignStructure(nil, form, aad, ct)
			if !bytes.Equal(got, unhex(t, v.TBS)) {
				t.Errorf("%x, want %s", got, v.TBS)
			}
			parts := []any{"CounterSignature0", []byte{}, []byte{}, aad, ct}
			if form == CountersignFour {
				parts = append(parts[:2], parts[3:]...)
			}
			want, err := cborx.Marshal(parts)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("the library encodes %x, %v", want, err)
			}
		})
	}
	t.Run("names", func(t *testing.T) {
		if CountersignFive.String() != "5 elements" || CountersignFour.String() != "4 elements" {
			t.Error("wrong")
		}
	})
}

func TestStructuresDoNotAllocate(t *testing.T) {
	dst, aad, ct := make([]byte, 0, 512), make([]byte, 280), make([]byte, 72)
	if n := testing.AllocsPerRun(100, func() {
		AppendEncStructure(dst, nil, aad)
		AppendCountersignStructure(dst, CountersignFive, aad, ct)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
