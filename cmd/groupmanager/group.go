package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
)

func (a *app) groupCmd() *cobra.Command {
	return a.noun("group", "Create, show, rekey and delete groups",
		a.groupCreateCmd(), a.groupListCmd(), a.groupShowCmd(), a.groupDeleteCmd(), a.groupRekeyCmd(), a.groupKeysCmd())
}

func (a *app) groupListCmd() *cobra.Command {
	return a.remote("list", "List the groups", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		groups, err := c.Groups(ctx)
		if err != nil {
			return err
		}
		return a.show(groups, func(t *rows) {
			t.row("NAME", "STATE", "MODES", "MEMBERS", "VERSION", "GID", "EXPIRES")
			for _, g := range groups {
				t.row(g.Name, g.State, g.Modes, g.Members, g.Version, g.Gid, g.Expires)
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
	return a.show(g, func(t *rows) {
		t.row("name", g.Name)
		t.row("description", g.Description)
		t.row("state", g.State)
		t.row("members", g.Members)
		t.row("modes", g.Modes)
		t.row("hkdf", g.HKDF)
		t.row("group encryption", g.GroupEncryption)
		t.row("signature", g.Signature)
		t.row("aead", g.AEAD)
		t.row("key agreement", g.KeyAgreement)
		t.row("backward security", g.BackwardSecurity)
		t.row("key lifetime", g.KeyLifetime)
		showKeys(t, g.Keys)
		t.row("created", g.Created)
	})
}

func showKeys(t *rows, k httpapi.Keys) {
	t.row("version", k.Version)
	t.row("gid", k.Gid)
	t.row("installed", k.Installed)
	t.row("expires", k.Expires)
	t.row("cause", k.Cause)
	if k.Due != "" {
		t.row("rekey owed for", k.Due)
	}
}

func (a *app) groupKeysCmd() *cobra.Command {
	return a.remote("keys GROUP", "Show version and times of the keying material, never the material", func(ctx context.Context, c *httpapi.Client, args []string) error {
		k, err := c.Keys(ctx, args[0])
		if err != nil {
			return err
		}
		return a.show(k, func(t *rows) { showKeys(t, k) })
	})
}

func (a *app) groupRekeyCmd() *cobra.Command {
	return a.remote("rekey GROUP", "Give the group new keying material", func(ctx context.Context, c *httpapi.Client, args []string) error {
		v, err := c.Rekey(ctx, args[0])
		if err != nil {
			return err
		}
		return a.show(httpapi.Version{Version: v}, func(t *rows) { t.row("group "+args[0]+" has version", v) })
	})
}
