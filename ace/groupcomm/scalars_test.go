package groupcomm

import (
	"errors"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/cose"
)

func TestScalars(t *testing.T) {
	t.Parallel()
	t.Run("KG-GET-18,KO-MISS-08 a version is a bare integer", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, MarshalNum(13), "0d")
		if n := must(ParseNum(unhex("1903e8"))); n != 1000 {
			t.Fatal(n)
		}
		refuses(t, ParseNum, map[string]string{"empty": "", "negative": "20", "bytes": "4101", "float": "f93c00", "tagged": "c101", "two": "0101", "null": "f6"})
	})
	t.Run("KO-OPS-22 the state of a group is a bare boolean", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, MarshalActive(true), "f5")
		if must(ParseActive(unhex("f4"))) {
			t.Fatal("active")
		}
		refuses(t, ParseActive, map[string]string{"empty": "", "number": "01", "null": "f6", "two": "f5f5"})
	})
	t.Run("KO-MISS-10,KO-MISS-11,KO-MISS-04 stale Sender IDs are an array, or there is no payload", func(t *testing.T) {
		t.Parallel()
		wantBytes(t, MarshalStaleSIDs([][]byte{{1}, {}}), "82 41 01 40")
		wantBytes(t, MarshalStaleSIDs([][]byte{}), "80")
		if MarshalStaleSIDs(nil) != nil {
			t.Fatal("a payload for nil")
		}
		if ids := must(ParseStaleSIDs(nil)); ids != nil {
			t.Fatal(ids)
		}
		if ids := must(ParseStaleSIDs(unhex("80"))); ids == nil || len(ids) != 0 {
			t.Fatal(ids)
		}
		refuses(t, ParseStaleSIDs, map[string]string{"map": "a0", "text": "81 61 61", "null": "f6", "h''": "40", "trailing": "80 00", "long": "81 5821" + "000000000000000000000000000000000000000000000000000000000000000000"})
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	t.Run("KG-GET-16,KG-JRESP-08,KO-JRESP-12 policies are a map of seconds", func(t *testing.T) {
		t.Parallel()
		p := PoliciesResponse{Policies: Policies{CheckInterval: time.Minute, ExpirationDelta: 5 * time.Second}}
		wantBytes(t, p.Marshal(), "a1 10 a2 01 183c 02 05")
		if back := must(ParsePoliciesResponse(p.Marshal())); back != p {
			t.Fatalf("parsed %+v", back)
		}
	})
	t.Run("KG-GET-16 none are an empty byte string, and what is absent has its default", func(t *testing.T) {
		t.Parallel()
		for _, in := range []string{"40", "a1 10 a0", "a1 10 a1 00 01"} {
			if p := must(ParsePoliciesResponse(unhex(in))); p.Policies != DefaultPolicies() || p.Policies.CheckInterval != time.Hour {
				t.Fatalf("%s: %+v", in, p)
			}
		}
		refuses(t, ParsePoliciesResponse, map[string]string{"empty": "", "no policies": "a0", "array": "a1 10 80", "negative": "a1 10 a1 01 20"})
	})
	t.Run("absurd intervals are cut", func(t *testing.T) {
		t.Parallel()
		if p := must(ParsePolicies(unhex("a1 01 1bffffffffffffffff"))); p.CheckInterval != 100*365*24*time.Hour {
			t.Fatal(p.CheckInterval)
		}
	})
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	now := time.Unix(1767225600, 500_000_000)
	e := ExpiryAt(time.Unix(1767229200, 0), now)
	if e != (Expiry{At: 1767229200, In: 3599}) {
		t.Fatalf("%+v", e)
	}
	t.Run("KG-JRESP-04 exp counts for a synchronised clock, exi otherwise", func(t *testing.T) {
		t.Parallel()
		if u := e.Until(now, true); !u.Equal(time.Unix(1767229200, 0)) {
			t.Fatal(u)
		}
		if u := e.Until(now, false); !u.Equal(now.Add(3599 * time.Second)) {
			t.Fatal(u)
		}
		if u := (Expiry{In: 5}).Until(now, true); !u.Equal(now.Add(5 * time.Second)) {
			t.Fatal(u)
		}
	})
	t.Run("what is over has no seconds left", func(t *testing.T) {
		t.Parallel()
		if e := ExpiryAt(now.Add(-time.Hour), now); e.In != 0 {
			t.Fatal(e)
		}
		if e := ExpiryAt(time.Time{}, now); e != (Expiry{}) {
			t.Fatal(e)
		}
	})
	t.Run("far dates stay in range", func(t *testing.T) {
		t.Parallel()
		far := Expiry{At: 1 << 63, In: 1 << 63}
		if !far.Until(now, true).After(now) || !far.Until(now, false).After(now) {
			t.Fatal("overflow")
		}
	})
}

func FuzzParseStaleSIDs(f *testing.F) {
	fuzzObject(f, ParseStaleSIDs, MarshalStaleSIDs, unhex("82 41 01 40"), nil)
}

func FuzzParsePoliciesResponse(f *testing.F) {
	fuzzObject(f, ParsePoliciesResponse, PoliciesResponse.Marshal, unhex("a1 10 a2 01 183c 02 05"), unhex("40"))
}

func FuzzParsePolicies(f *testing.F) {
	fuzzObject(f, ParsePolicies, Policies.Marshal, DefaultPolicies().Marshal(), unhex("a0"))
}

func FuzzParseParams(f *testing.F) {
	fuzzObject(f, ParseParams, Params.Marshal, SignParams(cose.CurveEd25519).Marshal(), ECDHParams(cose.CurveP256).Marshal())
}

func FuzzParseScalars(f *testing.F) {
	for _, s := range [][]byte{MarshalNum(3), MarshalActive(true), nil} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if n, err := ParseNum(in); err == nil {
			if again, err := ParseNum(MarshalNum(n)); err != nil || again != n {
				t.Fatal(n, again, err)
			}
		} else if !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
		if v, err := ParseActive(in); err == nil {
			if again, err := ParseActive(MarshalActive(v)); err != nil || again != v {
				t.Fatal(v, again, err)
			}
		} else if !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	})
}
