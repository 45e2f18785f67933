package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// healthPoll is how often --wait asks.
const healthPoll = 100 * time.Millisecond

func (a *app) healthcheckCmd() *cobra.Command {
	var wait time.Duration
	cmd := a.remote("healthcheck", "Say whether the running Group Manager works; exit code 0 if so", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		h, err := awaitHealth(ctx, c, wait)
		if err != nil {
			return err
		}
		if err := a.format.Show(h, func(t *cli.Table) {
			t.Row("ready", h.Ready)
			t.Row("version", h.Version)
			t.Row("started", h.Started)
			for _, name := range slices.Sorted(maps.Keys(h.Checks)) {
				t.Row(name, h.Checks[name])
			}
		}); err != nil {
			return err
		}
		if !h.Ready {
			return cli.Fail(cli.ExitFailed, "the log of groupmanager run says more", "the Group Manager is not ready")
		}
		return nil
	})
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait until it starts to answer")
	return cmd
}

// awaitHealth asks until something answers, for at most the given time.
func awaitHealth(ctx context.Context, c *httpapi.Client, wait time.Duration) (httpapi.Health, error) {
	limit := time.NewTimer(wait)
	defer limit.Stop()
	tick := time.NewTicker(healthPoll)
	defer tick.Stop()
	for {
		h, err := c.Health(ctx)
		var u *httpapi.UnreachableError
		if !errors.As(err, &u) {
			return h, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return h, err
		case <-ctx.Done():
			return h, err
		}
	}
}
