package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) rsCmd() *cobra.Command {
	return cli.Noun("rs", "Enrol, list, rotate and revoke the resource servers in other processes that tokens are issued for",
		a.rsEnrollCmd(), a.rsListCmd(), a.rsRotateCmd(), a.rsRevokeCmd())
}

func (a *app) rsEnrollCmd() *cobra.Command {
	var uri, file string
	cmd := a.remote("enroll AUDIENCE", "Enrol a Group Manager in another process: write the file that it adds with as add", func(ctx context.Context, c *httpapi.Client, args []string) error {
		if uri == "" {
			return cli.Fail(cli.ExitUsage, "give --uri coap://ADDRESS:PORT", "where do devices reach it?")
		}
		return a.writeEnrolment(file, args[0], func() (httpapi.EnrolmentFile, error) {
			return c.EnrolResourceServer(ctx, httpapi.ResourceServerSpec{Audience: args[0], URI: uri})
		})
	})
	cmd.Flags().StringVar(&uri, "uri", "", "CoAP `URI` where devices reach it")
	cmd.Flags().StringVar(&file, "file", "", "`file` to write (default AUDIENCE.rs.json)")
	return cmd
}

func (a *app) rsRotateCmd() *cobra.Command {
	var file string
	cmd := a.remote("rotate AUDIENCE", "Make a new token key: write the file that the Group Manager takes with as rotate", func(ctx context.Context, c *httpapi.Client, args []string) error {
		return a.writeEnrolment(file, args[0], func() (httpapi.EnrolmentFile, error) { return c.RotateResourceServer(ctx, args[0]) })
	})
	cmd.Flags().StringVar(&file, "file", "", "`file` to write (default AUDIENCE.rs.json)")
	return cmd
}

func (a *app) rsListCmd() *cobra.Command {
	return a.remote("list", "List the resource servers that tokens are issued for", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		list, err := c.ResourceServers(ctx)
		if err != nil {
			return err
		}
		return a.format.Show(list, func(t *cli.Table) {
			t.Row("AUDIENCE", "URI", "KEYS", "OTHER PROCESS", "REVOKED", "SEEN TWICE")
			for _, r := range list {
				t.Row(r.Audience, r.URI, r.Keys, r.Remote, r.Revoked, r.Alarms)
			}
		})
	})
}

func (a *app) rsRevokeCmd() *cobra.Command {
	return a.remote("revoke AUDIENCE", "End the association with a resource server", func(ctx context.Context, c *httpapi.Client, args []string) error {
		if err := c.RevokeResourceServer(ctx, args[0]); err != nil {
			return err
		}
		return a.format.Show(struct {
			Revoked string `json:"revoked"`
		}{args[0]}, func(t *cli.Table) { t.Row("resource server " + args[0] + " is revoked") })
	})
}

// writeEnrolment writes a file with secrets, mode 0600, that must not be there
// yet; it is removed again if there is nothing to write.
func (a *app) writeEnrolment(path, audience string, get func() (httpapi.EnrolmentFile, error)) error {
	if path == "" {
		path = audience + ".rs.json"
	}
	f, err := createSecretFile(path)
	if err != nil {
		return err
	}
	file, err := get()
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	_, err = f.Write(file)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return cli.Fail(cli.ExitFailed, "rotate the key: what was lost is worth nothing then", "%s could not be written: %w", path, err)
	}
	return a.format.Show(struct {
		Audience string `json:"audience"`
		File     string `json:"file"`
	}{audience, path}, func(t *cli.Table) {
		t.Row("bring " + path + " to the Group Manager over a channel that keeps it secret, then remove it here")
	})
}
