package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) groupCreateCmd() *cobra.Command {
	var spec httpapi.GroupSpec
	var read func() (int, error)
	cmd := a.remote("create GROUP", "Create a group", func(ctx context.Context, c *httpapi.Client, args []string) error {
		spec.Name = args[0]
		if _, err := read(); err != nil {
			return err
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
	cmd.Long = "Create a group. Modes and the reuse of Gids are fixed from then on; everything else can be changed with group update."
	fs := cmd.Flags()
	fs.StringVar(&spec.Description, "description", "", "what the group is for")
	fs.BoolVar(&spec.Inactive, "inactive", false, "nobody can join until it is activated")
	fs.StringVar(&spec.Modes, "modes", "", "`modes` of Group OSCORE: group+pairwise, group or pairwise (default group+pairwise)")
	fs.BoolVar(&spec.GidReuse, "gid-reuse", false, "give Gids out again, so that they keep their size; members that joined under the one whose turn it is are put out and join again")
	fs.IntVar(&spec.GidEpochs, "gid-epochs", 0, "with --gid-reuse: `number` of Gids in turn, 2 to 256 (default 256)")
	cli.Complete(cmd, "modes", "group+pairwise", "group", "pairwise")
	read = settingFlags(cmd, &spec.GroupSettings, true)
	return cmd
}
