package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// Output is where and how a command prints its result.
type Output struct {
	W      io.Writer
	Format string // table or json
}

// Flag adds the flag that chooses the format.
func (o *Output) Flag(c *cobra.Command) {
	c.Flags().StringVarP(&o.Format, "output", "o", "table", "output `format`: table or json")
	Complete(c, "output", "table", "json")
}

// Check refuses an unknown format.
func (o *Output) Check() error {
	if o.Format != "table" && o.Format != "json" {
		return Fail(ExitUsage, "give -o table or -o json", "unknown output format %q", o.Format)
	}
	return nil
}

// Show writes v as JSON, or what table writes where a table is wanted.
func (o *Output) Show(v any, table func(t *Table)) error {
	if o.Format == "json" {
		enc := json.NewEncoder(o.W)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	t := &Table{w: tabwriter.NewWriter(o.W, 0, 4, 2, ' ', 0)}
	table(t)
	return t.w.Flush()
}

// Table is a table with aligned columns.
type Table struct{ w *tabwriter.Writer }

// Row writes one row.
func (t *Table) Row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		text[i] = cell(c)
	}
	fmt.Fprintln(t.w, strings.Join(text, "\t"))
}

func cell(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.Local().Format("2006-01-02 15:04:05")
	case bool:
		if v {
			return "yes"
		}
		return "no"
	}
	s := fmt.Sprint(v)
	if s == "" {
		return "-"
	}
	return Printable(s)
}

// Printable takes out what would move a terminal's cursor: payloads and names
// come from elsewhere.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
