package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// suite measures what belongs together.
type suite struct {
	name  string
	title string // what its table is about
	run   func(*meter) ([]figure, error)
}

// suites are all there are, in the order of the table.
func suites() []suite {
	return []suite{
		{"oscore", "OSCORE", oscoreSuite},
		{"pairwise", "Group OSCORE, pairwise mode", pairwiseSuite},
		{"group", "Group OSCORE, group mode", groupSuite},
		{"memory", "Memory of Recipient Contexts", memorySuite},
		{"served", "Endpoint: requests served", servedSuite},
		{"manager", "Group Manager", managerSuite},
		{"ace", "Authorization Server and tokens", aceSuite},
	}
}

func main() {
	if ran, code := benchDevices(); ran {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	format := fs.String("o", "table", "output `format`: table, markdown or json")
	only := fs.String("only", "", "run the suites whose name contains this `word`")
	rounds := fs.Int("rounds", 100, "how many `rounds` the operations run by turns")
	profiles := fs.String("profiles", "", "existing `directory` for CPU profiles of the tasks of the manager suite")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	write := writers()[*format]
	if write == nil || *rounds < 1 || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "bench: -o is table, markdown or json, -rounds at least 1, and there are no arguments")
		return 2
	}
	results, code := []result{}, 0
	for _, s := range suites() {
		if !strings.Contains(s.name, *only) {
			continue
		}
		fmt.Fprintf(stderr, "bench: measuring %s\n", s.name)
		figures, err := s.run(&meter{rounds: *rounds, profiles: *profiles})
		if err != nil {
			fmt.Fprintf(stderr, "bench: %s: %v\n", s.name, err)
			code = 1
			continue // the others are worth showing
		}
		results = append(results, result{s, figures})
	}
	if err := write(stdout, results); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return code
}
