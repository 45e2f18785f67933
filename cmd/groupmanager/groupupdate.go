package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupUpdateCmd() *cobra.Command {
	var active, inactive bool
	var description string
	var u httpapi.GroupUpdate
	var cmd *cobra.Command
	var read func() (int, error)
	cmd = a.remote("update GROUP", "Change a group: activate or deactivate it, change its configuration", func(ctx context.Context, c *httpapi.Client, args []string) error {
		given, err := read()
		if err != nil {
			return err
		}
		if active && inactive {
			return cli.Fail(cli.ExitUsage, "give --active or --inactive", "a group is either active or not")
		}
		if active || inactive {
			u.Active = &active
			given++
		}
		if cmd.Flags().Changed("description") {
			u.Description = &description
			given++
		}
		if given == 0 {
			return cli.Fail(cli.ExitUsage, "give --active, --inactive or what is to be another; see "+cmd.CommandPath()+" --help", "what is to change is not said")
		}
		g, err := c.UpdateGroup(ctx, args[0], u)
		if err != nil {
			return err
		}
		return a.showGroup(g)
	})
	cmd.Long = "Change a group that is there. What is not given stays.\n\n" +
		"A change of an algorithm or of the credential format rekeys the group; the members learn it with the new keys. Members whose\n" +
		"credentials do not fit any more, or whose Sender IDs are too long, are put out and told, and may join again. Everything else\n" +
		"takes effect at once. Modes and the reuse of Gids are fixed when a group is created."
	fs := cmd.Flags()
	fs.BoolVar(&active, "active", false, "devices can join it, and its members go on")
	fs.BoolVar(&inactive, "inactive", false, "nobody can join it, and its members stop")
	fs.StringVar(&description, "description", "", "what the group is for")
	fs.Uint64Var(&u.Revision, "revision", 0, "change it only if it has this `revision`, as group show told it")
	read = settingFlags(cmd, &u.GroupSettings, false)
	return cmd
}
