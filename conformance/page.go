package conformance

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

var levelOrder = []string{
	"MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "RECOMMENDED", "REC", "NREC", "MAY",
	"lc-must", "lc-should", "DEF", "FACT", "TEST", "NOTE", "TBD",
}

// count holds the number of rows in each state.
type count [NotApplicable + 1]int

func (c count) total() int { return c[NotYet] + c[Proven] + c[Failing] + c[NotApplicable] }

func (c count) cells() string {
	return fmt.Sprintf("%d | %d | %d | %d | %d", c.total(), c[Proven], c[Failing], c[NotYet], c[NotApplicable])
}

// WritePage writes the Markdown page that says what the run proved. The same
// tables and results always give the same bytes.
func (t *Tables) WritePage(w io.Writer, res *Results) error {
	var b strings.Builder
	b.WriteString("# Conformance\n\n" +
		"Made by `go run ./conformance/report` from a whole run of the tests; do not edit.\n\n" +
		"Each row of the tables in [conformance/](../conformance/) is one requirement of a specification. *Proven* means that at\n" +
		"least one test whose name bears the row's id passed and none failed; *failing* that one failed; *not yet* that no test\n" +
		"bears the id, or that it was skipped; *not applicable* has its reason below. Rows for parts that are not built are not yet.\n\n")
	t.summary(&b, res)
	for _, table := range t.Tables {
		t.section(&b, table, res)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Tables) summary(b *strings.Builder, res *Results) {
	var all count
	levels := map[string]*count{}
	b.WriteString("| table | rows | proven | failing | not yet | not applicable |\n|---|---|---|---|---|---|\n")
	for _, table := range t.Tables {
		var c count
		for _, r := range table.Rows {
			s := res.States[r.ID]
			c[s]++
			all[s]++
			if levels[r.Level] == nil {
				levels[r.Level] = &count{}
			}
			levels[r.Level][s]++
		}
		fmt.Fprintf(b, "| [%s](#%s) | %s |\n", table.Name, table.Name, c.cells())
	}
	fmt.Fprintf(b, "| all | %s |\n\n", all.cells())
	b.WriteString("| level | rows | proven | failing | not yet | not applicable |\n|---|---|---|---|---|---|\n")
	for _, l := range sortedLevels(levels) {
		fmt.Fprintf(b, "| %s | %s |\n", l, levels[l].cells())
	}
	b.WriteString("\nMUST to MAY are the keywords of the texts, lc-must and lc-should the same words in lower case; DEF and FACT state behaviour that carries no keyword.\n")
	for _, p := range res.Broken {
		fmt.Fprintf(b, "\n**The tests of %s failed in this run.**\n", p)
	}
	for _, e := range res.Errors {
		fmt.Fprintf(b, "\n**Error:** %s\n", e)
	}
}

func (t *Tables) section(b *strings.Builder, table Table, res *Results) {
	fmt.Fprintf(b, "\n## %s\n\nRows: [conformance/%s.tsv](../conformance/%s.tsv).\n", table.Name, table.Name, table.Name)
	levels := map[string]*count{}
	by := map[State][]Row{}
	for _, r := range table.Rows {
		s := res.States[r.ID]
		by[s] = append(by[s], r)
		if levels[r.Level] == nil {
			levels[r.Level] = &count{}
		}
		levels[r.Level][s]++
	}
	b.WriteString("\n| level | rows | proven | failing | not yet | not applicable |\n|---|---|---|---|---|---|\n")
	for _, l := range sortedLevels(levels) {
		fmt.Fprintf(b, "| %s | %s |\n", l, levels[l].cells())
	}
	if rows := by[Failing]; len(rows) > 0 {
		b.WriteString("\nFailing:\n\n")
		for _, r := range rows {
			fmt.Fprintf(b, "- %s (%s): %s\n", r.ID, r.Level, r.Text)
			for _, test := range res.Tests[r.ID] {
				fmt.Fprintf(b, "  - `%s`\n", test)
			}
		}
	}
	idList(b, "Proven", by[Proven])
	idList(b, "Not yet", by[NotYet])
	if rows := by[NotApplicable]; len(rows) > 0 {
		b.WriteString("\nNot applicable:\n\n")
		for _, r := range rows {
			fmt.Fprintf(b, "- %s (%s): %s\n", r.ID, r.Level, t.Exceptions[r.ID])
		}
	}
}

// idList writes a paragraph of ids, broken into lines so that a change of one
// row changes few of them.
func idList(b *strings.Builder, title string, rows []Row) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	section := ""
	for _, r := range rows {
		if r.Section != section {
			section = r.Section
			fmt.Fprintf(b, "\n- %s: %s", section, r.ID)
			continue
		}
		b.WriteString(" " + r.ID)
	}
	b.WriteString("\n")
}

func sortedLevels(levels map[string]*count) []string {
	var names []string
	for l := range levels {
		names = append(names, l)
	}
	rank := func(l string) int {
		if i := slices.Index(levelOrder, l); i >= 0 {
			return i
		}
		return len(levelOrder)
	}
	sort.Slice(names, func(i, j int) bool {
		if ri, rj := rank(names[i]), rank(names[j]); ri != rj {
			return ri < rj
		}
		return names[i] < names[j]
	})
	return names
}
