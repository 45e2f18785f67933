package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupUpdateCmd() *cobra.Command {
	var active, inactive bool
	cmd := a.remote("update GROUP", "Activate or deactivate a group", func(ctx context.Context, c *httpapi.Client, args []string) error {
		if active == inactive {
			return cli.Fail(cli.ExitUsage, "give --active or --inactive", "what is to change is not said")
		}
		g, err := c.UpdateGroup(ctx, args[0], httpapi.GroupUpdate{Active: &active})
		if err != nil {
			return err
		}
		return a.showGroup(g)
	})
	cmd.Flags().BoolVar(&active, "active", false, "devices can join it, and its members go on")
	cmd.Flags().BoolVar(&inactive, "inactive", false, "nobody can join it, and its members stop")
	return cmd
}
