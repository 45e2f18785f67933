package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The tests look at the tool, never at what it measures.

func TestOutput(t *testing.T) {
	t.Run("json", func(t *testing.T) {
		var out, progress bytes.Buffer
		if code := run([]string{"-o", "json", "-rounds", "1", "-only", "oscore"}, &out, &progress); code != 0 {
			t.Fatalf("exit %d: %s", code, progress.String())
		}
		var figures []map[string]any
		if err := json.Unmarshal(out.Bytes(), &figures); err != nil {
			t.Fatal(err)
		}
		if len(figures) != 8 {
			t.Fatalf("%d figures", len(figures))
		}
		for _, f := range figures {
			for _, key := range []string{"name", "value", "unit", "floor", "ratio", "goal", "met"} {
				if _, ok := f[key]; !ok {
					t.Errorf("no %s in %v", key, f)
				}
			}
			if v, ok := f["value"].(float64); !ok || v <= 0 {
				t.Errorf("value %v", f["value"])
			}
		}
	})
	figures := []result{{suite{name: "x", title: "Things"}, []figure{
		atMostTimes("a", 12, 10, "ns", 1.15), atMost("b", 12, 10, "ns", 12), count("c", 3, "allocations", 2).noted("why | how"), shown("d", 0.5, 1, "s"),
	}}}
	t.Run("table", func(t *testing.T) {
		var out bytes.Buffer
		if err := writeTable(&out, figures); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"a     12     ns           10     1.20   ≤ 1.15 × floor  no   -", "b     12     ns           10     1.20   ≤ 12 ns         yes  -",
			"c     3      allocations  -      -      ≤ 2             no   why | how", "d     0.5    s            1      0.50   none            yes  -",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no line %q in\n%s", want, out.String())
			}
		}
	})
	t.Run("markdown", func(t *testing.T) {
		var out bytes.Buffer
		if err := writeMarkdown(&out, figures); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"### Things\n\n| what | value | unit | floor | ratio | goal | met | note |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n| a | 12 | ns | 10 | 1.20 | ≤ 1.15 × floor | no | - |\n",
			"| c | 3 | allocations | - | - | ≤ 2 | no | why \\| how |\n",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no lines %q in\n%s", want, out.String())
			}
		}
	})
	t.Run("a suite that does not exist measures nothing", func(t *testing.T) {
		var out bytes.Buffer
		if code := run([]string{"-o", "json", "-only", "no such suite"}, &out, new(bytes.Buffer)); code != 0 || strings.TrimSpace(out.String()) != "[]" {
			t.Fatalf("exit %d, %q", code, out.String())
		}
	})
	for _, args := range [][]string{{"-o", "xml"}, {"-rounds", "0"}, {"word"}, {"-no-such-flag"}} {
		t.Run("refused: "+strings.Join(args, " "), func(t *testing.T) {
			if code := run(args, new(bytes.Buffer), new(bytes.Buffer)); code != 2 {
				t.Fatalf("exit %d", code)
			}
		})
	}
}

func TestMeter(t *testing.T) {
	var made, done int
	o := &op{name: "count", make: func(n int) error { made += n; return nil }, do: func(int) error { done++; return nil }}
	if err := (&meter{rounds: 3}).time(o); err != nil {
		t.Fatal(err)
	}
	if o.n < 1 || o.n > maxBatch || made != done || o.fastest <= 0 || o.fastest > float64(time.Second) {
		t.Fatalf("batches of %d, %d made, %d done, fastest %v", o.n, made, done, o.fastest)
	}
	if n, err := o.allocations(); err != nil || n < 0 {
		t.Fatal(n, err)
	}
}

// TestSuites runs each suite once, so that none is broken when it is wanted.
func TestSuites(t *testing.T) {
	for _, s := range suites() {
		if s.name == "oscore" {
			continue // above
		}
		t.Run(s.name, func(t *testing.T) {
			figures, err := s.run(&meter{rounds: 1})
			if err != nil || len(figures) == 0 {
				t.Fatal(figures, err)
			}
		})
	}
}
