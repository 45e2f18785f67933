package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupDeleteCmd() *cobra.Command {
	var yes bool
	cmd := a.remote("delete GROUP", "End a group: deactivate it and evict everybody", func(ctx context.Context, c *httpapi.Client, args []string) error {
		g, err := c.Group(ctx, args[0])
		if err != nil {
			return err
		}
		if !yes {
			return cli.Fail(cli.ExitUsage, "repeat it with --yes", "group %s has %d members who would lose it; it cannot be brought back", cli.Printable(g.Name), g.Members)
		}
		if g.State == "active" {
			inactive := false
			if _, err := c.UpdateGroup(ctx, args[0], httpapi.GroupUpdate{Active: &inactive}); err != nil {
				return err
			}
		}
		if err := c.DeleteGroup(ctx, args[0]); err != nil {
			return err
		}
		return a.format.Show(map[string]string{"deleted": g.Name}, func(t *cli.Table) { t.Row(fmt.Sprintf("group %s is deleted", g.Name)) })
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	return cmd
}
