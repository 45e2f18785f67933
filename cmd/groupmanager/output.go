package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// show writes v as JSON, or what table writes where a table is wanted.
func (a *app) show(v any, table func(t *rows)) error {
	if a.output == "json" {
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	t := &rows{w: tabwriter.NewWriter(a.out, 0, 4, 2, ' ', 0)}
	table(t)
	return t.w.Flush()
}

// rows is a table with aligned columns.
type rows struct{ w *tabwriter.Writer }

// row writes one row.
func (t *rows) row(cells ...any) {
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
	return printable(s)
}

// printable takes out what would move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
