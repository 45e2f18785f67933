package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// suite measures what belongs together.
type suite struct {
	name string
	run  func(*meter) ([]figure, error)
}

// suites are all there are, in the order of the table.
func suites() []suite {
	return []suite{
		{"oscore", oscoreSuite},
		{"pairwise", pairwiseSuite},
		{"group", groupSuite},
		{"memory", memorySuite},
		{"served", servedSuite},
		{"manager", managerSuite},
		{"ace", aceSuite},
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
	format := fs.String("o", "table", "output `format`: table or json")
	only := fs.String("only", "", "run the suites whose name contains this `word`")
	rounds := fs.Int("rounds", 100, "how many `rounds` the operations run by turns")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if *format != "table" && *format != "json" || *rounds < 1 || fs.NArg() > 0 {
		fmt.Fprintln(stderr, "bench: -o is table or json, -rounds at least 1, and there are no arguments")
		return 2
	}
	figures, code := []figure{}, 0
	for _, s := range suites() {
		if !strings.Contains(s.name, *only) {
			continue
		}
		fmt.Fprintf(stderr, "bench: measuring %s\n", s.name)
		more, err := s.run(&meter{rounds: *rounds})
		if err != nil {
			fmt.Fprintf(stderr, "bench: %s: %v\n", s.name, err)
			code = 1
			continue // the others are worth showing
		}
		figures = append(figures, more...)
	}
	var err error
	if *format == "json" {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(figures)
	} else {
		err = writeTable(stdout, figures)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return code
}

func writeTable(w io.Writer, figures []figure) error {
	fmt.Fprintf(w, "%s %s/%s, %s, %d CPUs\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, cpuModel(), runtime.GOMAXPROCS(0))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "WHAT\tVALUE\tUNIT\tFLOOR\tRATIO\tGOAL\tMET")
	for _, f := range figures {
		floor, ratio, met := "-", "-", "no"
		if f.Floor != nil {
			floor, ratio = short(*f.Floor), fmt.Sprintf("%.2f", *f.Ratio)
		}
		if f.Met {
			met = "yes"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, short(f.Value), f.Unit, floor, ratio, f.Goal, met)
	}
	return tw.Flush()
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
