package main

import (
	"context"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/member"
)

// joinFlags say which group to join and how.
type joinFlags struct {
	group, roles, address string
}

func (j *joinFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVarP(&j.group, "group", "g", "", "`name` of the group")
	fs.StringVar(&j.roles, "roles", "requester,responder", "`roles`: requester, responder, both with a comma between, or monitor")
	fs.StringVar(&j.address, "address", "", "multicast `address:port` of the group")
	cli.Complete(cmd, "roles", "requester", "responder", "requester,responder", "monitor")
}

func (j *joinFlags) options() (member.JoinOptions, error) {
	o := member.JoinOptions{Group: j.group}
	if j.group == "" {
		return o, cli.Fail(cli.ExitUsage, "give --group NAME", "no group named")
	}
	var err error
	if o.Roles, err = ace.ParseRoles(j.roles); err != nil {
		return o, cli.Fail(cli.ExitUsage, "give requester, responder, requester,responder or monitor", "--roles: %w", err)
	}
	if j.address != "" {
		if o.Address, err = netip.ParseAddrPort(j.address); err != nil || !o.Address.Addr().IsMulticast() {
			return o, cli.Fail(cli.ExitUsage, "as 239.192.7.1:5683 or [ff15::7:1]:5683", "--address %q is no multicast address and port", j.address)
		}
	}
	return o, nil
}

func (a *app) joinCmd() *cobra.Command {
	var j joinFlags
	cmd := cli.Verb("join", "Become a member of a group", func(ctx context.Context, _ []string, _ *pflag.FlagSet) error {
		if err := a.format.Check(); err != nil {
			return err
		}
		o, err := j.options()
		if err != nil {
			return err
		}
		return a.device(ctx, nil, nil, func(ctx context.Context, d *member.Device) error {
			g, err := d.Join(ctx, o)
			if err != nil {
				return err
			}
			return a.showStatus(d, []*member.Group{g})
		})
	})
	j.add(cmd)
	a.format.Flag(cmd)
	return cmd
}
