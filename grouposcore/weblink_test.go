package grouposcore

import (
	"slices"
	"testing"
)

func TestLinkHints(t *testing.T) {
	parse := func(t *testing.T, doc string, want ...HintedLink) {
		t.Helper()
		got, err := ParseLinkHints(doc)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	t.Run("GO-11-1,OS-9-1 the example of the text", func(t *testing.T) {
		parse(t, `</sensors/temp>;gosc;osc,</sensors/light>;if="sensor"`,
			HintedLink{"/sensors/temp", HintGroupOSCORE}, HintedLink{"/sensors/light", NoHint})
	})
	t.Run("GO-11-3 gosc is written with osc, and overshadows it", func(t *testing.T) {
		for _, h := range []LinkHint{NoHint, HintOSCORE, HintGroupOSCORE} {
			parse(t, "</a>"+h.Attributes()+";ct=40", HintedLink{"/a", h})
		}
		if s := HintGroupOSCORE.Attributes(); s != ";gosc;osc" {
			t.Fatal(s)
		}
		parse(t, "</a>;osc;gosc", HintedLink{"/a", HintGroupOSCORE})
		parse(t, "</a>;gosc", HintedLink{"/a", HintGroupOSCORE})
	})
	t.Run("GO-11-2,OS-9-2 values and repetitions are ignored, and none is written", func(t *testing.T) {
		parse(t, `</a>;gosc="no";gosc=0;gosc`, HintedLink{"/a", HintGroupOSCORE})
		parse(t, `</a>;osc=1;osc`, HintedLink{"/a", HintOSCORE})
	})
	t.Run("what only looks like it is no hint", func(t *testing.T) {
		parse(t, `</a>;title="x;gosc,\"<b>;osc";rt=osc,</gosc>;oscx`, HintedLink{"/a", NoHint}, HintedLink{"/gosc", NoHint})
		parse(t, "")
	})
	for _, bad := range []string{"x", "</a", "</a> ", "</a>;", "</a>;;osc", "</a>;=1", `</a>;title="open`, `</a>;title="open\`, "</a>,", "</a></b>", `</a>;t="x"y`} {
		t.Run("malformed: "+bad, func(t *testing.T) {
			_, err := ParseLinkHints(bad)
			wantErr(t, err, ErrMalformed)
		})
	}
}
