// Command report says which requirements of the specifications the tests prove.
//
// It runs `go test -json ./...` in the current directory, or reads the output of
// such a run from a file or from standard input (-in -), and writes
// docs/conformance.md.
//
// It exits 0 when the page was written and nothing is wrong, 1 when a test failed
// or a subtest bears an id that no table has (the page is written all the same),
// and 2 when the page could not be made.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"github.com/cohort-iot/cohort/conformance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) int {
	fs := flag.NewFlagSet("report", flag.ContinueOnError)
	fs.SetOutput(stderr)
	in := fs.String("in", "", "read the output of `go test -json` from this `file` (- for standard input) instead of running the tests")
	out := fs.String("o", "docs/conformance.md", "write the page to this `file` (- for standard output)")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "report:", err)
		return 2
	}
	tables, err := conformance.Embedded()
	if err != nil {
		return fail(err)
	}
	res, err := results(ctx, tables, *in, stdin, stderr)
	if err != nil {
		return fail(err)
	}
	var page bytes.Buffer
	if err := tables.WritePage(&page, res); err != nil {
		return fail(err)
	}
	if *out == "-" {
		_, err = os.Stdout.Write(page.Bytes())
	} else {
		err = os.WriteFile(*out, page.Bytes(), 0o644)
	}
	if err != nil {
		return fail(err)
	}
	for _, f := range res.Failures {
		fmt.Fprintf(stderr, "--- failed: %s\n%s", f.Name, f.Output)
	}
	for _, e := range res.Errors {
		fmt.Fprintln(stderr, "report:", e)
	}
	for _, p := range res.Broken {
		fmt.Fprintln(stderr, "report: the tests failed in", p)
	}
	proven, failing := 0, 0
	for _, s := range res.States {
		switch s {
		case conformance.Proven:
			proven++
		case conformance.Failing:
			failing++
		}
	}
	fmt.Fprintf(stderr, "%d rows proven, %d failing, by %d tests in %d packages\n", proven, failing, res.Passed+res.Failed, res.Packages)
	if failing > 0 || len(res.Errors) > 0 || len(res.Broken) > 0 {
		return 1
	}
	return 0
}

// results reads the events of a run, making the run itself when in is empty.
func results(ctx context.Context, tables *conformance.Tables, in string, stdin io.Reader, stderr io.Writer) (*conformance.Results, error) {
	switch in {
	case "-":
		return tables.Read(stdin)
	case "":
	default:
		f, err := os.Open(in)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return tables.Read(f)
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "./...")
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	res, err := tables.Read(pipe)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !(errors.As(err, &exit) && exit.Exited()) {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	if res.Packages == 0 {
		return nil, errors.New("the run of `go test` named no package")
	}
	return res, nil
}
