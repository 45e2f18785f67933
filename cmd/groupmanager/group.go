package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupCmd() *cobra.Command {
	return cli.Noun("group", "Create, show, change, rekey and delete groups",
		a.groupCreateCmd(), a.groupListCmd(), a.groupShowCmd(), a.groupUpdateCmd(), a.groupDeleteCmd(), a.groupRekeyCmd(),
		a.groupKeysCmd(), a.groupInvalidateCmd())
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
		t.Row("revision", g.Revision)
		t.Row("members", g.Members)
		t.Row("modes", g.Modes)
		t.Row("hkdf", g.HKDF)
		t.Row("credential format", g.CredentialFormat)
		t.Row("group encryption", g.GroupEncryption)
		t.Row("signature", g.Signature)
		t.Row("aead", g.AEAD)
		t.Row("key agreement", g.KeyAgreement)
		t.Row("identity", g.Identity)
		t.Row("backward security", given(g.BackwardSecurity))
		t.Row("gid reuse", g.GidReuse)
		t.Row("members at most", g.MaxMembers)
		t.Row("stale sets", g.MaxStaleSets)
		t.Row("check interval", g.CheckInterval)
		t.Row("expiration delta", given(g.ExpirationDelta))
		t.Row("key lifetime", g.KeyLifetime)
		t.Row("rekey margin", g.RekeyMargin)
		t.Row("rekey jitter", given(g.RekeyJitter))
		t.Row("leave window", given(g.LeaveWindow))
		t.Row("eviction window", given(g.EvictionWindow))
		t.Row("expiry window", given(g.ExpiryWindow))
		if g.Changing {
			t.Row("change of algorithms", "under way")
		}
		showKeys(t, g.Keys)
		t.Row("created", g.Created)
	})
}

// given is a value that an answer always has.
func given[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
