package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupCreateCmd() *cobra.Command {
	var spec httpapi.GroupSpec
	var lifetime time.Duration
	algorithms := map[string]*string{}
	cmd := a.remote("create GROUP", "Create a group", func(ctx context.Context, c *httpapi.Client, args []string) error {
		spec.Name = args[0]
		spec.SetKeyLifetime(lifetime)
		for member, v := range algorithms {
			if err := spec.SetAlgorithm(member, *v); err != nil {
				return cli.Fail(cli.ExitUsage, "give a name of the COSE registry, as EdDSA or AES-CCM-16-64-128, or its number", "%s: %w", member, err)
			}
		}
		g, err := c.CreateGroup(ctx, spec)
		if err != nil {
			return err
		}
		if a.format.Format == "json" {
			return a.showGroup(g)
		}
		_, err = fmt.Fprintf(a.format.W, "group %s created: %s, version %d, gid %s\n", cli.Printable(g.Name), g.State, g.Version, g.Gid)
		return err
	})
	fs := cmd.Flags()
	fs.StringVar(&spec.Description, "description", "", "what the group is for")
	fs.BoolVar(&spec.Inactive, "inactive", false, "nobody can join until it is activated")
	fs.StringVar(&spec.Modes, "modes", "", "group+pairwise, group or pairwise (default group+pairwise)")
	fs.BoolVar(&spec.BackwardSecurity, "backward-security", false, "rekey at each join, so that new members cannot read what was sent before")
	fs.IntVar(&spec.MaxMembers, "max-members", 0, "bound of the number of members (default 100000)")
	fs.DurationVar(&lifetime, "key-lifetime", 0, "how long one version of the keying material is used (default 24h)")
	for member, what := range map[string]string{"hkdf": "HMAC that derives keys", "group_encryption": "encryption of the group mode",
		"signature": "signatures of the group mode", "aead": "encryption of the pairwise mode", "key_agreement": "key agreement of the pairwise mode"} {
		v := new(string)
		algorithms[member] = v
		fs.StringVar(v, flagName(member), "", "`algorithm`: "+what)
	}
	return cmd
}
