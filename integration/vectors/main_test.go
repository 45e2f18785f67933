package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	run := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(args, &out, &errs)
		return code, out.String()
	}
	t.Run("a good tree", func(t *testing.T) {
		code, out := run("../vectorrun/testdata/aiocoap/g01-gg-eddsa-ccm.json", "../vectorrun/testdata/aiocoap/g31-a128cbc-forbidden-since-28.json")
		if code != 0 || !strings.HasSuffix(out, "\n6 passed, 0 failed, 1 skipped\n") {
			t.Fatalf("%d\n%s", code, out)
		}
	})
	t.Run("nothing to run is an error of the caller", func(t *testing.T) {
		for _, args := range [][]string{{}, {"-x"}, {"no such directory"}} {
			if code, _ := run(args...); code != 2 {
				t.Fatalf("%v: exit code %d", args, code)
			}
		}
	})
}
