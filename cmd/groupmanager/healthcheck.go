package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) healthcheckCmd() *cobra.Command {
	return a.remote("healthcheck", "Say whether the running Group Manager works; exit code 0 if so", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		h, err := c.Health(ctx)
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
}
