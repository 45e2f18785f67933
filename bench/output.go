package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// result is what one suite gave.
type result struct {
	suite
	figures []figure
}

// writers are the output formats.
func writers() map[string]func(io.Writer, []result) error {
	return map[string]func(io.Writer, []result) error{"table": writeTable, "markdown": writeMarkdown, "json": writeJSON}
}

// writeJSON writes the figures of all suites as one array.
func writeJSON(w io.Writer, results []result) error {
	all := []figure{}
	for _, r := range results {
		all = append(all, r.figures...)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(all)
}

// columns are those of the tables.
func columns() []string {
	return []string{"what", "value", "unit", "floor", "ratio", "goal", "met", "note"}
}

func (f figure) row() []string {
	floor, ratio, met := "-", "-", "no"
	if f.Floor != nil {
		floor, ratio = short(*f.Floor), fmt.Sprintf("%.2f", *f.Ratio)
	}
	if f.Met {
		met = "yes"
	}
	unit, note := f.Unit, f.Note
	if unit == "" {
		unit = "-"
	}
	if note == "" {
		note = "-"
	}
	return []string{f.Name, short(f.Value), unit, floor, ratio, f.Goal, met, note}
}

// machine tells on what the figures were taken.
func machine() string {
	return fmt.Sprintf("%s %s/%s, %s, %d CPUs", runtime.Version(), runtime.GOOS, runtime.GOARCH, cpuModel(), runtime.GOMAXPROCS(0))
}

func writeTable(w io.Writer, results []result) error {
	fmt.Fprintf(w, "%s\n\n", machine())
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(columns(), "\t")))
	for _, r := range results {
		for _, f := range r.figures {
			fmt.Fprintln(tw, strings.Join(f.row(), "\t"))
		}
	}
	return tw.Flush()
}

// writeMarkdown writes a table for each suite, for docs/performance.md.
func writeMarkdown(w io.Writer, results []result) error {
	_, err := fmt.Fprintf(w, "%s.\n", machine())
	line := func(cells []string) {
		if err == nil {
			_, err = fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	for _, r := range results {
		if err == nil {
			_, err = fmt.Fprintf(w, "\n### %s\n\n", r.title)
		}
		line(columns())
		line(strings.Split(strings.Repeat("---,", len(columns())-1)+"---", ","))
		for _, f := range r.figures {
			cells := f.row()
			for i, c := range cells {
				cells[i] = strings.ReplaceAll(c, "|", "\\|")
			}
			line(cells)
		}
	}
	return err
}

// short gives a number to three digits or more.
func short(v float64) string {
	if v >= 100 || v == float64(int64(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// cpuModel names the processor, where Linux tells it.
func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
