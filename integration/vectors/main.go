// Command vectors runs trees of test vectors of OSCORE and Group OSCORE:
//
//	go run ./integration/vectors [-v] DIR…
//
// It prints what fails, what is skipped and why, and ends with a line
// "N passed, N failed, N skipped". It exits with 1 if anything failed and with
// 2 if it could not run.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/cohort-iot/cohort/integration/vectorrun"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("vectors", flag.ContinueOnError)
	flags.SetOutput(stderr)
	verbose := flags.Bool("v", false, "print passed checks too")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: vectors [-v] DIR…")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return 2
	}
	var sum vectorrun.Summary
	err := vectorrun.RunTrees(flags.Args(), func(r vectorrun.Result) {
		sum.Add(r)
		r.Print(stdout, *verbose)
	})
	if err != nil {
		fmt.Fprintln(stderr, "vectors:", err)
		return 2
	}
	fmt.Fprintln(stdout, sum)
	if sum.Failed > 0 {
		return 1
	}
	return 0
}
