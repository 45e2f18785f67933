package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/member"
)

func (a *app) leaveCmd() *cobra.Command {
	var group string
	cmd := cli.Verb("leave", "Leave a group and delete its keys", func(ctx context.Context, _ []string, _ *pflag.FlagSet) error {
		if group == "" {
			return cli.Fail(cli.ExitUsage, "give --group NAME", "no group named")
		}
		return a.device(ctx, nil, nil, func(ctx context.Context, d *member.Device) error {
			g, err := d.Group(group)
			if err != nil {
				return err
			}
			if err := g.Leave(ctx); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s left group %s\n", d.Name(), cli.Printable(group))
			return nil
		})
	})
	cmd.Flags().StringVarP(&group, "group", "g", "", "`name` of the group")
	return cmd
}
