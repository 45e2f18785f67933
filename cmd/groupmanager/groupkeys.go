package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupKeysCmd() *cobra.Command {
	return a.remote("keys GROUP", "Show version and times of the keying material, never the material", func(ctx context.Context, c *httpapi.Client, args []string) error {
		k, err := c.Keys(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(k, func(t *cli.Table) { showKeys(t, k) })
	})
}

func (a *app) groupRekeyCmd() *cobra.Command {
	cmd := a.remote("rekey GROUP", "Give the group new keying material", func(ctx context.Context, c *httpapi.Client, args []string) error {
		v, err := c.Rekey(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(httpapi.Version{Version: v}, func(t *cli.Table) { t.Row("group "+args[0]+" has version", v) })
	})
	cmd.Long = "Give the group new keying material, at once. Nobody is put out: members that are away fetch it when they are back.\n" +
		"See group invalidate for the second act, after which nothing older is of use to anybody."
	return cmd
}

func (a *app) groupInvalidateCmd() *cobra.Command {
	var yes bool
	cmd := a.remote("invalidate GROUP", "Put out the members that have not shown to hold the newest keying material", func(ctx context.Context, c *httpapi.Client, args []string) error {
		if !yes {
			pending, err := c.Pending(ctx, args[0])
			if err != nil {
				return err
			}
			return cli.Fail(cli.ExitUsage, "repeat it with --yes; member pending shows who they are",
				"%d members of group %s have not shown to hold the newest keying material and would have to join again", len(pending), cli.Printable(args[0]))
		}
		v, err := c.Invalidate(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(v, func(t *cli.Table) {
			t.Row("evicted", v.Evicted)
			t.Row("version", v.Version)
		})
	})
	cmd.Long = "Put out every member that has not shown to hold the newest keying material, tell them, and rekey the others once more.\n" +
		"It is the second act after group rekey, for keys that have become known: whoever is away has to join again."
	cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	return cmd
}

func showKeys(t *cli.Table, k httpapi.Keys) {
	t.Row("version", k.Version)
	t.Row("gid", k.Gid)
	t.Row("installed", k.Installed)
	t.Row("expires", k.Expires)
	t.Row("cause", k.Cause)
	t.Row("next rekeying at", k.Scheduled)
	if k.Due != "" {
		t.Row("rekey owed for", k.Due)
		t.Row("rekey owed by", k.DueBy)
	}
}
