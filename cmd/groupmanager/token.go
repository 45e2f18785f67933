package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"os"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) tokenCmd() *cobra.Command {
	return cli.Noun("token", "List, inspect and revoke access tokens", a.tokenListCmd(), a.tokenInspectCmd(), a.tokenRevokeCmd())
}

func (a *app) tokenListCmd() *cobra.Command {
	return a.remote("list", "List the tokens that were issued and have not expired", func(ctx context.Context, c *httpapi.Client, _ []string) error {
		list, err := c.Tokens(ctx)
		if err != nil {
			return err
		}
		return a.format.Show(list, func(t *cli.Table) {
			t.Row("HASH", "DEVICE", "GROUPS", "ISSUED", "EXPIRES", "REVOKED")
			for _, k := range list {
				t.Row(k.Hash, k.Client, grants(k.Groups), k.Issued, k.Expires, k.Revoked)
			}
		})
	})
}

func (a *app) tokenInspectCmd() *cobra.Command {
	return a.remote("inspect FILE", "Look into a token, given as bytes, hex or base64; - reads standard input", func(ctx context.Context, c *httpapi.Client, args []string) error {
		token, err := a.readToken(args[0])
		if err != nil {
			return err
		}
		v, err := c.InspectToken(ctx, token)
		if err != nil {
			return err
		}
		return a.format.Show(v, func(t *cli.Table) {
			t.Row("hash", v.Hash)
			t.Row("shape", v.Shape)
			t.Row("issuer", v.Issuer)
			t.Row("device", v.Subject)
			t.Row("audience", v.Audience)
			t.Row("groups", grants(v.Groups))
			if !v.Issued.IsZero() {
				t.Row("issued", v.Issued)
			}
			if !v.Expires.IsZero() {
				t.Row("expires", v.Expires)
			}
			if v.Lives != "" {
				t.Row("lives from its first use", v.Lives)
			}
			t.Row("bound to", v.Bound)
			t.Row("would be taken", v.Taken)
			if !v.Taken {
				t.Row("refused because", v.Refusal)
			}
			for _, w := range v.Warnings {
				t.Row("note", w)
			}
		})
	})
}

func (a *app) tokenRevokeCmd() *cobra.Command {
	return a.remote("revoke HASH", "End a token before its time, with the memberships that rest on it", func(ctx context.Context, c *httpapi.Client, args []string) error {
		if err := c.RevokeToken(ctx, args[0]); err != nil {
			return err
		}
		return a.format.Show(struct {
			Revoked string `json:"revoked"`
		}{args[0]}, func(t *cli.Table) { t.Row("token " + args[0] + " is revoked") })
	})
}

// maxTokenFile bounds what is read as a token, in bytes.
const maxTokenFile = 128 << 10

// readToken reads the bytes of a token from a file, whatever form they are in.
func (a *app) readToken(name string) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, cli.Fail(cli.ExitUsage, "name a file with a token, or - for standard input", "%w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxTokenFile+1))
	if err != nil {
		return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
	}
	text := bytes.TrimSpace(b)
	switch {
	case len(b) > maxTokenFile || len(text) == 0:
		return nil, cli.Fail(cli.ExitUsage, "name a file with one token", "%s holds no token", name)
	case isHex(text):
		return hex.DecodeString(string(text))
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding, base64.URLEncoding, base64.RawStdEncoding} {
		if t, err := enc.DecodeString(string(text)); err == nil {
			return t, nil
		}
	}
	return b, nil
}

func isHex(b []byte) bool {
	_, err := hex.DecodeString(string(b))
	return err == nil
}
