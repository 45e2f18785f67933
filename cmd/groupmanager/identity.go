package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) identityCmd() *cobra.Command {
	return cli.Noun("identity", "List and rotate the key pairs of the Group Manager itself", a.identityListCmd(), a.identityRotateCmd())
}

func (a *app) identityListCmd() *cobra.Command {
	cmd := a.remote("list", "List the key pairs of the Group Manager: one for each kind of groups", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		list, err := c.Identities(ctx)
		if err != nil {
			return err
		}
		return a.format.Show(list, func(t *cli.Table) {
			t.Row("IDENTITY", "GENERATION", "GROUPS", "BEHIND", "CREATED")
			for _, i := range list {
				t.Row(i.Name, i.Generation, i.Groups, i.Behind, i.Created)
			}
		})
	})
	cmd.Long = "List the key pairs of the Group Manager. It has one for each signature algorithm, curve and credential format of its groups;\n" +
		"group show tells which one a group uses. BEHIND counts the groups that still have to be rekeyed onto the newest generation."
	return cmd
}

func (a *app) identityRotateCmd() *cobra.Command {
	cmd := a.remote("rotate IDENTITY", "Replace a key pair of the Group Manager and rekey the groups that use it", func(ctx context.Context, c *httpapi.Client, args []string) error {
		v, err := c.RotateIdentity(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(v, func(t *cli.Table) {
			t.Row("identity", v.Identity.Name)
			t.Row("generation", v.Identity.Generation)
			t.Row("groups rekeyed", v.Rekeyed)
		})
	})
	cmd.Long = "Replace a key pair of the Group Manager. Every group that uses it is rekeyed; the members hear of the new credential with the\n" +
		"new keys and take it after the Group Manager has proved to have its private key. What a crash cut off is completed at the next start."
	return cmd
}
