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
		a.deviceEnrollCmd(), a.deviceReenrollCmd(), a.deviceListCmd(), a.deviceShowCmd(), a.deviceRevokeCmd())
}

func (a *app) deviceListCmd() *cobra.Command {
	return a.remote("list", "List the enrolled devices", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		devices, err := c.Devices(ctx)
		if err != nil {
			return err
		}
		return a.format.Show(devices, func(t *cli.Table) {
			t.Row("NAME", "FOR", "GROUPS", "ENROLLED", "REVOKED", "SEEN TWICE")
			for _, d := range devices {
				t.Row(d.Name, d.For, grants(d.Groups), d.Enrolled, d.Revoked, d.Alarms)
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
			t.Row("for", d.For)
			t.Row("groups", grants(d.Groups))
			t.Row("enrolled", d.Enrolled)
			t.Row("revoked", d.Revoked)
			t.Row("seen twice", d.Alarms)
			if d.Alarms > 0 && !d.Revoked {
				t.Row("its secret was in use at two places: device reenroll gives it another")
			}
		})
	})
}

func (a *app) deviceRevokeCmd() *cobra.Command {
	return a.remote("revoke DEVICE", "End a device: no more tokens, and out of all its groups, which are rekeyed", func(ctx context.Context, c *httpapi.Client, args []string) error {
		v, err := c.RevokeDevice(ctx, args[0])
		if err != nil {
			return err
		}
		return a.format.Show(v, func(t *cli.Table) {
			if v.Elsewhere {
				t.Row("device " + args[0] + " is revoked; its Group Manager puts it out of its groups as soon as it is notified")
				return
			}
			t.Row(fmt.Sprintf("device %s is revoked and was put out of %d groups", args[0], v.Groups))
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
