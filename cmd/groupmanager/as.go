package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/cohort-iot/cohort/ace"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) asCmd() *cobra.Command {
	return cli.Noun("as", "List, add, rotate and remove the Authorization Servers in other processes whose tokens are taken",
		a.asListCmd(), a.asAddCmd(), a.asRotateCmd(), a.asRemoveCmd())
}

func (a *app) asListCmd() *cobra.Command {
	return a.remote("list", "List the trusted Authorization Servers", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		list, err := c.AuthorizationServers(ctx)
		if err != nil {
			return err
		}
		return a.showTrusted(list)
	})
}

func (a *app) asAddCmd() *cobra.Command {
	return a.remote("add FILE", "Take the tokens of the Authorization Server that made FILE with rs enroll", func(ctx context.Context, c *httpapi.Client, args []string) error {
		file, _, err := readRSEnrolment(args[0])
		if err != nil {
			return err
		}
		t, err := c.AddAuthorizationServer(ctx, file)
		if err != nil {
			return err
		}
		return a.showTrusted([]httpapi.TrustedAS{t})
	})
}

func (a *app) asRotateCmd() *cobra.Command {
	return a.remote("rotate FILE", "Take the new keys of an Authorization Server, which it made with rs rotate", func(ctx context.Context, c *httpapi.Client, args []string) error {
		file, issuer, err := readRSEnrolment(args[0])
		if err != nil {
			return err
		}
		t, err := c.RotateAuthorizationServer(ctx, issuer, file)
		if err != nil {
			return err
		}
		return a.showTrusted([]httpapi.TrustedAS{t})
	})
}

func (a *app) asRemoveCmd() *cobra.Command {
	return a.remote("remove ISSUER", "Take no token of an Authorization Server any more", func(ctx context.Context, c *httpapi.Client, args []string) error {
		if err := c.RemoveAuthorizationServer(ctx, args[0]); err != nil {
			return err
		}
		return a.format.Show(struct {
			Removed string `json:"removed"`
		}{args[0]}, func(t *cli.Table) { t.Row("tokens of " + args[0] + " are not taken any more") })
	})
}

func (a *app) showTrusted(list []httpapi.TrustedAS) error {
	return a.format.Show(list, func(t *cli.Table) {
		t.Row("ISSUER", "KEYS", "URI", "REVOCATIONS", "ADDED")
		for _, s := range list {
			follows := "not followed"
			if s.Follows {
				follows = "followed"
			}
			t.Row(s.Issuer, s.Keys, s.URI, follows, s.Added)
		}
	})
}

// readRSEnrolment reads the file of an Authorization Server and says whose it is.
func readRSEnrolment(name string) (httpapi.EnrolmentFile, string, error) {
	const hint = "the Authorization Server makes it with groupmanager rs enroll"
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, "", cli.Fail(cli.ExitUsage, hint, "%w", err)
	}
	e, err := ace.ParseRSEnrolment(b)
	if err != nil {
		return nil, "", cli.Fail(cli.ExitUsage, hint, "%s: %w", name, err)
	}
	return b, e.Issuer, nil
}
