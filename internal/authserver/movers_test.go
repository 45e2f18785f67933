package authserver

import "testing"

func TestMoveRS(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, want := range []bool{true, false} {
		if moved := must(b.MoveRS(t.Context(), "gm1", "coap://192.0.2.9:5683")); moved != want {
			t.Errorf("moved %v, want %v", moved, want)
		}
	}
	e := must(b.Enrol(t.Context(), EnrolRequest{Name: "new", Audience: "gm1"}))
	if e.GM != "coap://192.0.2.9:5683" {
		t.Errorf("the enrolment names %s", e.GM)
	}
	_, err := b.MoveRS(t.Context(), "gm2", "coap://192.0.2.9")
	wantErr(t, err, ErrNotFound)
	_, err = b.MoveRS(t.Context(), "gm1", "")
	wantErr(t, err, ErrInvalid)
}
