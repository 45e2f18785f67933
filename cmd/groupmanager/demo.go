package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// demoTime bounds the whole demonstration.
const demoTime = 2 * time.Minute

func (a *app) demoCmd() *cobra.Command {
	var verbose bool
	out := cli.Output{W: a.out}
	cmd := cli.Verb("demo", "Show it all on this machine: a Group Manager, a switch and three lamps", func(ctx context.Context, _ []string, _ *pflag.FlagSet) error {
		if err := out.Check(); err != nil {
			return err
		}
		level := slog.LevelError + 1
		if verbose {
			level = slog.LevelDebug
		}
		log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
		ctx, cancel := context.WithTimeout(ctx, demoTime)
		defer cancel()
		return runDemo(ctx, &demoReport{out: out}, log)
	})
	cmd.Long = "demo runs a whole installation on the loopback interface, in a temporary directory and with random keys:\n" +
		"an Authorization Server and Group Manager, a switch and three lamps. The devices are authorised, join a group,\n" +
		"talk to it by multicast and to each other, lose a lamp by eviction and go on under new keys; then the Group\n" +
		"Manager is killed and comes back. Each step says what was proved. Nothing is left behind.\n\n" +
		"With -o json one object is written: {\"ok\": …, \"steps\": [{\"name\": …, \"ok\": …, \"detail\": …}]}.\n\n" +
		"Exit codes: 0 every step succeeded; 1 otherwise."
	out2 := &out
	out2.Flag(cmd)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log what happens inside to standard error")
	return cmd
}

// runDemo goes through the steps; one that fails ends the demonstration, since
// the next ones build on it.
func runDemo(ctx context.Context, r *demoReport, log *slog.Logger) (err error) {
	dir, err := os.MkdirTemp("", "cohort-demo-") // mode 0700
	if err != nil {
		return err
	}
	d := &demo{dir: dir, log: log, report: r}
	defer func() {
		err = errors.Join(err, d.close(), os.RemoveAll(dir))
	}()
	r.begin()
	for _, s := range []struct {
		name, title string
		run         func(ctx context.Context, s *step) error
	}{
		{"start", "Start the Authorization Server and the Group Manager", d.start},
		{"enrol", "Create a group and enrol a switch and three lamps", d.enrol},
		{"join", "The devices get tokens and join", d.join},
		{"group-request", "The switch asks all lamps at once, signed", d.groupRequest},
		{"pairwise-request", "The switch sets one lamp, for its eyes only", d.pairwiseRequest},
		{"evict", "A lamp is stolen: the operator evicts it", d.evict},
		{"rekey", "The others go on under new keys", d.rekey},
		{"evicted-cannot-read", "The stolen keys are worth nothing", d.evictedCannotRead},
		{"restart-keeps-state", "The Group Manager is killed and comes back", d.restart},
	} {
		if err := r.run(ctx, s.name, s.title, s.run); err != nil {
			return errors.Join(r.end(), cli.Fail(cli.ExitFailed, "groupmanager demo -v logs what happens inside", "demo: step %s: %w", s.name, err))
		}
	}
	return r.end()
}

// step collects what one step of the demonstration showed.
type step struct {
	Name   string         `json:"name"`
	OK     bool           `json:"ok"`
	Detail map[string]any `json:"detail"`
	Error  string         `json:"error,omitempty"`
	TookMS int64          `json:"took_ms"`

	w io.Writer // nil with -o json
}

// show records a fact under a name and prints the line that tells it.
func (s *step) show(name string, value any, format string, args ...any) {
	s.Detail[name] = value
	s.say(format, args...)
}

// say prints a line.
func (s *step) say(format string, args ...any) {
	if s.w != nil {
		fmt.Fprintln(s.w, "   ", cli.Printable(fmt.Sprintf(format, args...)))
	}
}

// demoReport prints the steps as they happen, or one object at the end.
type demoReport struct {
	out   cli.Output
	steps []*step
}

func (r *demoReport) text() io.Writer {
	if r.out.Format == "json" {
		return nil
	}
	return r.out.W
}

func (r *demoReport) begin() {
	if w := r.text(); w != nil {
		fmt.Fprintln(w, "Cohort demo: everything runs on this machine's loopback interface, with random keys, and is gone afterwards.")
	}
}

func (r *demoReport) run(ctx context.Context, name, title string, f func(context.Context, *step) error) error {
	s := &step{Name: name, Detail: map[string]any{}, w: r.text()}
	r.steps = append(r.steps, s)
	if s.w != nil {
		fmt.Fprintf(s.w, "\n%d. %s\n", len(r.steps), title)
	}
	began := time.Now()
	err := f(ctx, s)
	s.TookMS = time.Since(began).Milliseconds()
	s.OK = err == nil
	mark := "ok"
	if err != nil {
		s.Error, mark = err.Error(), "FAILED"
	}
	if s.w != nil {
		fmt.Fprintf(s.w, "   [%s] %s, %d ms\n", mark, name, s.TookMS)
	}
	return err
}

// end prints the summary.
func (r *demoReport) end() error {
	v := struct {
		OK    bool    `json:"ok"`
		Steps []*step `json:"steps"`
	}{true, r.steps}
	for _, s := range r.steps {
		v.OK = v.OK && s.OK
	}
	if w := r.text(); w != nil {
		if v.OK {
			_, err := fmt.Fprintf(w, "\nAll %d steps succeeded.\n", len(r.steps))
			return err
		}
		return nil
	}
	return r.out.Show(v, nil)
}
