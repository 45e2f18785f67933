package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupCmd() *cobra.Command {
	return cli.Noun("group", "Create, show, change, rekey and delete groups",
		a.groupCreateCmd(), a.groupListCmd(), a.groupShowCmd(), a.groupUpdateCmd(), a.groupDeleteCmd(), a.groupRekeyCmd(), a.groupKeysCmd())
}

func (a *app) groupListCmd() *cobra.Command {
	return a.remote("list", "List the groups", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		groups, err := c.Groups(ctx)
		if err != nil {
			return err
		}
		return a.format.Show(groups, func(t *cli.Table) {
			t.Row("NAME", "STATE", "MODES", "MEMBERS", "VERSION", "GID", "EXPIRES")
			for _, g := range groups {
				t.Row(g.Name, g.State, g.Modes, g.Members, g.Version, g.Gid, g.Expires)
			}
		})
	})
}

func (a *app) groupShowCmd() *cobra.Command {
	return a.remote("show GROUP", "Show a group's configuration and state", func(ctx context.Context, c *httpapi.Client, args []string) error {
		g, err := c.Group(ctx, args[0])
		if err != nil {
			return err
		}
		return a.showGroup(g)
	})
}

func (a *app) showGroup(g httpapi.Group) error {
	return a.format.Show(g, func(t *cli.Table) {
		t.Row("name", g.Name)
		t.Row("description", g.Description)
		t.Row("state", g.State)
		t.Row("members", g.Members)
		t.Row("modes", g.Modes)
		t.Row("hkdf", g.HKDF)
		t.Row("group encryption", g.GroupEncryption)
		t.Row("signature", g.Signature)
		t.Row("aead", g.AEAD)
		t.Row("key agreement", g.KeyAgreement)
		t.Row("backward security", g.BackwardSecurity)
		t.Row("key lifetime", g.KeyLifetime)
		showKeys(t, g.Keys)
		t.Row("created", g.Created)
	})
}

func showKeys(t *cli.Table, k httpapi.Keys) {
	t.Row("version", k.Version)
	t.Row("gid", k.Gid)
	t.Row("installed", k.Installed)
	t.Row("expires", k.Expires)
	t.Row("cause", k.Cause)
	if k.Due != "" {
		t.Row("rekey owed for", k.Due)
	}
}

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
	return a.remote("rekey GROUP", "Give the group new keying material", func(ctx context.Context, c *httpapi.Client, args []string) error {
		v, err := c.Rekey(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(httpapi.Version{Version: v}, func(t *cli.Table) { t.Row("group "+args[0]+" has version", v) })
	})
}
