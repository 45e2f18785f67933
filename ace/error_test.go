package ace

import (
	"errors"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

func TestError(t *testing.T) {
	t.Parallel()
	t.Run("AC-039,AC-041,AC-042 errors are a map of integers", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, (&Error{Code: codes.BadRequest, Number: InvalidRequest}).Payload(), "a1 181e 01")
		e := &Error{Code: codes.BadRequest, Number: InvalidScope, Description: "no"}
		wantBytes(t, e.Payload(), "a2 181e 06 181f 62 6e6f")
		got := must(ParseError(codes.BadRequest, e.Payload()))
		if got.Number != InvalidScope || got.Description != "no" || got.Error() == "" {
			t.Fatalf("parsed %+v", got)
		}
		want := []ErrorCode{1, 2, 3, 4, 5, 6, 7, 8}
		for i, c := range []ErrorCode{InvalidRequest, InvalidClient, InvalidGrant, UnauthorizedClient, UnsupportedGrantType, InvalidScope, UnsupportedPoPKey, IncompatibleACEProfiles} {
			if c != want[i] || c.String() == "" {
				t.Errorf("%v is %d", c, int64(c))
			}
		}
	})
	t.Run("an error without number has no payload, and keeps its cause", func(t *testing.T) {
		t.Parallel()
		e := refuse(RefusedWrapper, ErrToken)
		if e.Payload() != nil || !errors.Is(e, ErrToken) {
			t.Fatal(e)
		}
	})
	t.Run("payloads of other errors are refused", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"", "a0", "a1 181e 61 61", "a2 181e 01 181f 01"} {
			_, err := ParseError(codes.BadRequest, unhex(in))
			wantErr(t, err, ErrMalformed)
		}
	})
}

func FuzzParseError(f *testing.F) {
	fuzzObject(f, func(b []byte) (*Error, error) { return ParseError(codes.BadRequest, b) }, (*Error).Payload,
		[]error{ErrMalformed}, unhex("a1 181e 01"), unhex("a2 181e 06 181f 62 6e6f"))
}
