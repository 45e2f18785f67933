package vectorrun

import (
	"strings"
	"testing"

	"github.com/cohort-iot/cohort/integration/vectorfile"
)

// shown names the requirements behind the accept/reject cases, by the part of
// their names that follows the group.
var shown = map[string]string{
	"ok-group":                       "GO-7.2-8",
	"ok-pairwise":                    "GO-8-1",
	"ciphertext-bit":                 "GO-7.2-9",
	"ciphertext-last-bit":            "GO-7.2-9",
	"signature-first":                "GO-7.2-9",
	"signature-last":                 "GO-7.2-9",
	"flag-cleared":                   "GO-6-6",
	"flag-set":                       "GO-6-6,GO-4.1-5",
	"kid-other-member":               "GO-14.7.2-1",
	"kid-unknown":                    "GO-7.2-3",
	"kid-own":                        "GO-7.2-14",
	"gid-unknown":                    "GO-7.2-1",
	"gid-longer":                     "GO-7.2-1",
	"piv-changed":                    "GO-14.7.2-1",
	"piv-leading-zero":               "GO-7-6",
	"no-kid":                         "GO-3.2-3",
	"no-kid-context":                 "GO-3.2-3",
	"no-piv":                         "GO-3.2-3",
	"option-empty-request":           "GO-3.2-3",
	"payload-empty":                  "GO-4.1-5",
	"payload-shorter-than-signature": "GO-4.1-5",
	"payload-only-signature":         "GO-4.1-5",
	"payload-extra-byte":             "GO-7.2-9",
	"pairwise-tag-bit":               "GO-8-1",
	"pairwise-truncated":             "GO-8-1",
	"insider-forges-signature":       "GO-7.2-8",
	"insider-own-cred":               "GO-7.2-8",
	"insider-forges-pairwise":        "GO-2.5.1-4",
	"pairwise-for-other-member":      "GO-8-5",
	"gm-cred-differs":                "GO-14.8-1",
	"gm-cred-differs-pairwise":       "GO-14.8-1",
	"sender-cred-reencoded":          "GO-2.4-5",
	"sender-cred-reencoded-pairwise": "GO-2.4-5",
	"algorithms-array-pka":           "GO-3.4-3",
	"algorithms-array-aead":          "GO-3.4-3",
	"signature-in-clear":             "GO-4.1-1",
	"keystream-type-false":           "GO-4.2-4",
	"countersign-4-elements":         "GO-3.1-2",
	"pairwise-ikm-order":             "GO-2.5.1-1",
	"outer-code-fetch":               "GO-14.18-2",
	"outer-uri-host":                 "GO-14.18-2",
	"mid-token-type":                 "GO-14.18-2",
	"replay-group":                   "GO-5.3-1",
	"replay-pairwise":                "GO-5.3-1",
	"replay-across-modes":            "GO-2.5.3-1",
	"window-out-of-order":            "GO-5.3-1",
	"window-edge-in":                 "GO-5.3-1",
	"window-edge-out":                "GO-5.3-1",
	"resp-ok-group":                  "GO-7.4-5",
	"resp-ok-pairwise":               "GO-8.6-2",
	"resp-ok-own-piv":                "GO-4.2-2",
	"resp-ok-other-server":           "GO-5.1-1",
	"resp-no-kid":                    "GO-7.4-18",
	"resp-payload-bit":               "GO-7.4-7",
	"resp-kid-changed":               "GO-7.4-7",
	"resp-other-request":             "GO-3.4-4",
	"resp-other-request-own-piv":     "GO-3.4-4",
	"resp-insider":                   "GO-7.4-7",
	"resp-outer-code":                "GO-14.18-2",
	"resp-pp-ok":                     "GO-8.6-2",
	"resp-pg-ok":                     "GO-7.4-1",
	"resp-pp-other-server":           "GO-7.4-11,GO-8.6-3",
	"resp-pg-other-server":           "GO-7.4-11",
	"resp-replay":                    "GO-5.3.1-4",
	"resp-two-without-piv":           "GO-5.3.1-3",
}

// TestCases runs the accept/reject cases.
func TestCases(t *testing.T) {
	ran, skipped := 0, 0
	files(t, func(_ string, v *vectorfile.File) {
		for _, c := range v.Cases {
			if unsupportedCase(c) != "" {
				skipped++
				continue
			}
			ran++
			_, what, _ := strings.Cut(c.Name, "/")
			name := c.Name
			if ids := shown[what]; ids != "" {
				name = ids + " " + name
			}
			t.Run(name, func(t *testing.T) {
				if r := RunCase(c); r.Outcome != Passed {
					t.Fatal(r.Detail)
				}
			})
		}
	})
	if ran != 146 || skipped != 10 {
		t.Fatalf("%d cases ran, %d are for later", ran, skipped)
	}
}

// TestRunnerNotices shows that the runner fails where it has to.
func TestRunnerNotices(t *testing.T) {
	var good *vectorfile.Case
	files(t, func(_ string, v *vectorfile.File) {
		for _, c := range v.Cases {
			if c.Name == "ed-ccm/ok-group" {
				good = c
			}
		}
	})
	t.Run("an acceptance that was to be a refusal", func(t *testing.T) {
		c := *good
		c.Accept = false
		if r := RunCase(&c); r.Outcome != Failed {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("a refusal that was to be an acceptance", func(t *testing.T) {
		c := *good
		c.Message = append(vectorfile.Hex{}, c.Message...)
		c.Message[len(c.Message)-1] ^= 1
		if r := RunCase(&c); r.Outcome != Failed {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("a case that cannot be brought about", func(t *testing.T) {
		c := *good
		c.ReceivedBefore = []vectorfile.Hex{{0}}
		if r := RunCase(&c); r.Outcome != Failed {
			t.Fatalf("%+v", r)
		}
	})
	t.Run("cacheable sections are skipped with a reason", func(t *testing.T) {
		c := *good
		c.Section = "cacheable-oscore 3.4"
		if r := RunCase(&c); r.Outcome != Skipped || r.Detail == "" {
			t.Fatalf("%+v", r)
		}
	})
}
