package main

import (
	"context"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
)

func (a *app) deviceReenrollCmd() *cobra.Command {
	var out string
	var keep bool
	cmd := a.remote("reenroll DEVICE", "Give a device a new secret in place of its old one, as after an alarm: write its new enrolment file", func(ctx context.Context, c *httpapi.Client, args []string) error {
		return a.enroll(args[0], out, "has a new secret, the old one is worth nothing; it may join", func() (httpapi.Enrolled, error) {
			return c.ReenrolDevice(ctx, args[0], httpapi.Reenrolment{KeepTokens: keep})
		})
	})
	cmd.Aliases = []string{"reenrol"}
	cmd.Long = cmd.Short + `.

The device keeps its name and what it may join; one that was revoked comes back. Its tokens
end, and it is put out of its groups, which are rekeyed: whoever had a copy of the secret may
have got tokens with it. It joins again with the new file. Where the secret is replaced as a
matter of routine, --keep-tokens spares the groups that.`
	cmd.Flags().BoolVar(&keep, "keep-tokens", false, "let its tokens and memberships live, as the old secret was not copied")
	cmd.Flags().StringVar(&out, "file", "", "enrolment `file` to write (default DEVICE.enrolment.json)")
	return cmd
}
