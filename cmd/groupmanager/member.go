package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) memberCmd() *cobra.Command {
	return cli.Noun("member", "Show and evict the members of a group",
		a.memberListCmd(), a.memberShowCmd(), a.memberEvictCmd(), a.memberPendingCmd())
}

func (a *app) memberListCmd() *cobra.Command {
	return a.remote("list GROUP", "List the members of a group", func(ctx context.Context, c *httpapi.Client, args []string) error {
		members, err := c.Members(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(members, func(t *cli.Table) {
			t.Row("NODE", "DEVICE", "SENDER-ID", "ROLES", "NEWEST-KEYS", "JOINED")
			for _, m := range members {
				t.Row(m.Node, m.Client, m.SenderID, m.Roles, m.Stage, m.Joined)
			}
		})
	})
}

func (a *app) memberShowCmd() *cobra.Command {
	return a.remote("show GROUP NODE", "Show one member of a group", func(ctx context.Context, c *httpapi.Client, args []string) error {
		m, err := c.Member(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		return a.format.Show(m, func(t *cli.Table) {
			t.Row("node", m.Node)
			t.Row("device", m.Client)
			t.Row("roles", m.Roles)
			t.Row("sender id", m.SenderID)
			t.Row("credential", m.Credential)
			t.Row("control uri", m.ControlURI)
			t.Row("joined", m.Joined)
			t.Row("newest keys", m.Stage)
		})
	})
}

func (a *app) memberPendingCmd() *cobra.Command {
	return a.remote("pending GROUP", "List the members that have not shown to hold the newest keys", func(ctx context.Context, c *httpapi.Client, args []string) error {
		pending, err := c.Pending(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(pending, func(t *cli.Table) {
			t.Row("NODE", "DEVICE", "NEWEST-KEYS", "ATTEMPTS", "REACHABLE")
			for _, p := range pending {
				t.Row(p.Node, p.Client, p.Stage, p.Attempts, p.Reachable)
			}
		})
	})
}

func (a *app) memberEvictCmd() *cobra.Command {
	return a.remote("evict GROUP NODE", "Put a member out of a group and rekey the others", func(ctx context.Context, c *httpapi.Client, args []string) error {
		v, err := c.Evict(ctx, args[0], args[1])
		if err != nil {
			return err
		}
		return a.format.Show(httpapi.Version{Version: v}, func(t *cli.Table) { t.Row("member "+args[1]+" is evicted; group "+args[0]+" has version", v) })
	})
}
