package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/member"
)

func (a *app) observeCmd() *cobra.Command {
	var q askFlags
	var duration time.Duration
	cmd := cli.Verb("observe PATH", "Write a resource of the whole group, or of one member, whenever it changes", func(ctx context.Context, args []string, _ *pflag.FlagSet) error {
		r := member.Request{Code: codes.GET}
		var query string
		r.Path, query, _ = strings.Cut(args[0], "?")
		if query != "" {
			r.Query = strings.Split(query, "&")
		}
		if duration < 0 {
			return cli.Fail(cli.ExitUsage, "as --for 10m", "--for %v is no time", duration)
		}
		q.wait = time.Second // of no use here
		if err := errors.Join(a.format.Check(), q.check()); err != nil {
			return err
		}
		return a.device(ctx, nil, nil, func(ctx context.Context, d *member.Device) error {
			return a.observe(ctx, d, &q, r, duration)
		})
	})
	cmd.Long = "observe writes a line for each state of the resource that is heard, until it is interrupted. With -o json\n" +
		"each line is one object. It fails if nobody was heard at all."
	fs := cmd.Flags()
	fs.StringVarP(&q.group, "group", "g", "", "`name` of the group")
	fs.StringVar(&q.to, "to", "", "`peer` to observe alone, in pairwise mode: a device name, or NAME@ADDRESS:PORT")
	fs.IntVar(&q.expect, "expect", 0, "stop after so many states; 0: go on")
	fs.DurationVar(&duration, "for", 0, "how long to observe; 0: until interrupted")
	a.format.Flag(cmd)
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (a *app) observe(ctx context.Context, d *member.Device, q *askFlags, r member.Request, duration time.Duration) error {
	g, err := d.Group(q.group)
	if err == nil {
		err = q.reaches(g)
	}
	if err != nil {
		return err
	}
	if err := a.checkFirst(ctx, g); err != nil {
		return err
	}
	var to *member.Peer
	if q.to != "" {
		p, err := findPeer(ctx, g, q.to)
		if err != nil {
			return err
		}
		to = &p
	}
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	states := 0
	var last error
	for one, err := range g.Observe(ctx, r, to) {
		if err != nil {
			last = err
			if !errors.Is(err, endpoint.ErrObservationEnded) || states == 0 {
				fmt.Fprintln(a.err, "member:", cli.Printable(err.Error()))
			}
			continue
		}
		states++
		if err := a.showState(describe(one)); err != nil {
			return err
		}
		if q.expect > 0 && states >= q.expect {
			return nil
		}
	}
	switch {
	case last != nil && ctx.Err() == nil:
		return last
	case states < max(q.expect, 1):
		return cli.Fail(cli.ExitPartial, "give --for more time, or check that the members serve", "%d of %d states came", states, max(q.expect, 1))
	}
	return nil
}

// showState writes one state as one line.
func (a *app) showState(i answerInfo) error {
	if a.format.Format == "json" {
		return json.NewEncoder(a.out).Encode(i)
	}
	_, err := fmt.Fprintf(a.out, "%s %s %s %s %s\n", i.From.Name, i.From.SenderID, i.Mode, i.Code, i.Payload)
	return err
}
