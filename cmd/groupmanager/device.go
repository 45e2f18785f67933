package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) deviceCmd() *cobra.Command {
	return cli.Noun("device", "Enrol, show and revoke devices",
		a.deviceEnrollCmd(), a.deviceListCmd(), a.deviceShowCmd(), a.deviceRevokeCmd())
}

func (a *app) deviceListCmd() *cobra.Command {
	return a.remote("list", "List the enrolled devices", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		devices, err := c.Devices(ctx)
		if err != nil {
			return err
		}
		return a.format.Show(devices, func(t *cli.Table) {
			t.Row("NAME", "GROUPS", "ENROLLED", "REVOKED")
			for _, d := range devices {
				t.Row(d.Name, grants(d.Groups), d.Enrolled, d.Revoked)
			}
		})
	})
}

func (a *app) deviceShowCmd() *cobra.Command {
	return a.remote("show DEVICE", "Show a device and what it may join", func(ctx context.Context, c *httpapi.Client, args []string) error {
		d, err := c.Device(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(d, func(t *cli.Table) {
			t.Row("name", d.Name)
			t.Row("groups", grants(d.Groups))
			t.Row("enrolled", d.Enrolled)
			t.Row("revoked", d.Revoked)
			t.Row("seen twice", d.Alarms)
		})
	})
}

func (a *app) deviceRevokeCmd() *cobra.Command {
	return a.remote("revoke DEVICE", "End a device: no more tokens, and out of all its groups, which are rekeyed", func(ctx context.Context, c *httpapi.Client, args []string) error {
		n, err := c.RevokeDevice(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(httpapi.Revoked{Groups: n}, func(t *cli.Table) {
			t.Row(fmt.Sprintf("device %s is revoked and was put out of %d groups", args[0], n))
		})
	})
}

// grants writes what a device may join, as "lights:requester+responder".
func grants(groups map[string]string) string {
	var out []string
	for g, roles := range groups {
		out = append(out, g+":"+roles)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
