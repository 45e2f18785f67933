package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestReport(t *testing.T) {
	classify := func(err error) (int, string) {
		if errors.Is(err, context.Canceled) {
			return 9, "try again"
		}
		return ExitFailed, ""
	}
	for _, c := range []struct {
		name string
		err  error
		code int
		text string
	}{
		{"failure", Fail(ExitUsage, "do that", "no %s", "file"), ExitUsage, "p: no file\nhint: do that\n"},
		{"failure without hint", Fail(ExitPartial, "", "some"), ExitPartial, "p: some\n"},
		{"wrapped failure", errors.Join(errors.New("a"), Fail(4, "h", "b")), 4, "p: a\np: b\nhint: h\n"},
		{"classified", context.Canceled, 9, "p: context canceled\nhint: try again\n"},
		{"other", errors.New("x\x1b[31m"), ExitFailed, "p: x?[31m\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w bytes.Buffer
			if code := Report(&w, "p", c.err, classify); code != c.code || w.String() != c.text {
				t.Errorf("%d %q, want %d %q", code, w.String(), c.code, c.text)
			}
		})
	}
	var w bytes.Buffer
	if code := Report(&w, "p", errors.New("x"), nil); code != ExitFailed {
		t.Errorf("without classes: %d", code)
	}
	if err := Fail(2, "", "a: %w", context.Canceled); !errors.Is(err, context.Canceled) {
		t.Error("the cause is lost")
	}
}

func TestOutput(t *testing.T) {
	show := func(format string) string {
		var w bytes.Buffer
		o := Output{W: &w, Format: format}
		if err := o.Show(map[string]int{"a": 1}, func(t *Table) {
			t.Row("NAME", "ON", "SINCE")
			t.Row("lamp\x07", true, time.Time{})
			t.Row("", false, 3)
		}); err != nil {
			t.Fatal(err)
		}
		return w.String()
	}
	table := show("table")
	for _, want := range []string{"NAME   ON", "lamp?  yes", "-      no"} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}
	if j := show("json"); j != "{\n  \"a\": 1\n}\n" {
		t.Errorf("%q", j)
	}
	if err := (&Output{Format: "xml"}).Check(); err == nil {
		t.Error("xml is a format")
	}
}

// tree is a command with a verb and a noun.
func tree() (*cobra.Command, *[]string, *Output) {
	var ran []string
	var o Output
	verb := func(use string) *cobra.Command {
		return Verb(use, "short", func(_ context.Context, args []string, _ *pflag.FlagSet) error {
			ran = append(ran, strings.Join(args, ","))
			return nil
		})
	}
	root := &cobra.Command{Use: "p"}
	Root(root)
	list := verb("list")
	o.Flag(list)
	root.AddCommand(Noun("group", "short", verb("create NAME"), list), verb("do A B"))
	return root, &ran, &o
}

func TestVerbs(t *testing.T) {
	for _, c := range []struct {
		args string
		ran  string
		want string // of the error and its hint
	}{
		{"do 1 2", "1,2", ""},
		{"group create g", "g", ""},
		{"do 1", "", "p do takes A B|see p do --help"},
		{"group list x", "", "p group list takes no arguments|see p group list --help"},
		{"group lst", "", `p group has no verb "lst"|did you mean list?`},
		{"frobnicate", "", `p has no verb "frobnicate"|see p --help`},
		{"do 1 2 --no", "", "unknown flag: --no|see p do --help"},
		{"", "", ""},
		{"group", "", ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			root, ran, _ := tree()
			root.SetArgs(strings.Fields(c.args))
			root.SetOut(&bytes.Buffer{})
			err := root.Execute()
			if c.want == "" {
				if err != nil || strings.Join(*ran, ";") != c.ran {
					t.Errorf("%v, ran %q", err, *ran)
				}
				return
			}
			var f *Failure
			if !errors.As(err, &f) || f.Code != ExitUsage || f.Error()+"|"+f.Hint != c.want {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCompletion(t *testing.T) {
	root, _, _ := tree()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs([]string{"__complete", "group", "list", "--output", ""})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "table\njson\n") {
		t.Errorf("%q", out.String())
	}
	defer func() {
		if recover() == nil {
			t.Error("a flag that does not exist has completions")
		}
	}()
	Complete(root, "nothing", "a")
}
