package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/grouposcore"
	"github.com/cohort-iot/cohort/member"
)

func (a *app) serveCmd() *cobra.Command {
	var j joinFlags
	var list []string
	var pairwise bool
	var leisure time.Duration
	var fresh string
	cmd := cli.Verb("serve", "Answer the groups' requests until interrupted", func(ctx context.Context, _ []string, _ *pflag.FlagSet) error {
		lines := &lineWriter{a: a}
		how, err := grouposcore.ParseFreshness(fresh)
		if err != nil {
			return cli.Fail(cli.ExitUsage, "give trust-first, echo or refuse", "--freshness: %w", err)
		}
		var device atomic.Pointer[member.Device]
		m, err := resources(list, func(path string, from endpoint.Peer, value []byte) {
			lines.printf("%s set to %q by %s, %s", path, value, from.Credential.Subject(), from.Mode)
			if d := device.Load(); d != nil {
				d.Notify(path)
			}
		})
		if err != nil {
			return err
		}
		return a.device(ctx, m, func(c *member.Config) {
			c.PairwiseAnswers, c.Leisure, c.Freshness = pairwise, leisure, how
			c.OnEvent = func(e member.Event) {
				switch {
				case e.Group == "":
				case e.SenderID == nil:
					lines.printf("group %s: %s, version %d", e.Group, e.Kind, e.Version)
				default:
					lines.printf("group %s: %s, version %d, sender id %x", e.Group, e.Kind, e.Version, e.SenderID)
				}
			}
		}, func(ctx context.Context, d *member.Device) error {
			device.Store(d)
			if j.group != "" {
				if err := a.ensureJoined(ctx, d, &j); err != nil {
					return err
				}
			}
			groups := d.Groups()
			if len(groups) == 0 {
				return cli.Fail(exitNoMember, "give --group NAME, or member join first", "%s is in no group", d.Name())
			}
			lines.printf("%s serves on %s", d.Name(), d.Addr())
			return serveUntil(ctx, groups)
		})
	})
	j.add(cmd)
	fs := cmd.Flags()
	fs.StringArrayVarP(&list, "resource", "r", []string{"/light=off"}, "`PATH=TEXT` of a resource with its first value; may be repeated")
	fs.BoolVar(&pairwise, "pairwise-answers", false, "answer in pairwise mode where the group has it")
	fs.StringVar(&fresh, "freshness", grouposcore.TrustFirst.String(), "`policy` for requests that may not be fresh, such as the first one of each peer after a start: trust-first takes them, echo has the peer repeat them, refuse drops them")
	cli.Complete(cmd, "freshness", "trust-first", "echo", "refuse")
	fs.DurationVar(&leisure, "leisure", endpoint.DefaultLeisure, "time over which answers to group requests are spread")
	return cmd
}

// ensureJoined joins the group unless the device is in it already.
func (a *app) ensureJoined(ctx context.Context, d *member.Device, j *joinFlags) error {
	o, err := j.options()
	if err != nil {
		return err
	}
	if _, err := d.Group(o.Group); err == nil {
		return nil
	}
	_, err = d.Join(ctx, o)
	return err
}

// lastWords is how long a device that was put out of its last group stays, so
// that the answer to the notice of that leaves.
const lastWords = 250 * time.Millisecond

// serveUntil waits for the interrupt, or until the device is in no group any
// more.
func serveUntil(ctx context.Context, groups []*member.Group) error {
	for _, g := range groups {
		select {
		case <-ctx.Done():
			return nil
		case <-g.Done():
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(lastWords):
	}
	var last error
	for _, g := range groups {
		last = errors.Join(last, fmt.Errorf("group %s: %w", g.Name(), g.Err()))
	}
	return last
}

// lineWriter writes whole lines from several goroutines.
type lineWriter struct {
	mu sync.Mutex
	a  *app
}

func (l *lineWriter) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.a.out, cli.Printable(fmt.Sprintf(format, args...)))
}
