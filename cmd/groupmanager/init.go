package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/keystore/seal"
)

// initialised is what `init` made.
type initialised struct {
	Config  string `json:"config"`
	SealKey string `json:"seal_key"`
	DataDir string `json:"data_dir"`
}

func (a *app) initCmd() *cobra.Command {
	var listen, uri, audience, role, issuer string
	cmd := cli.Verb("init DIR", "Make a directory with configuration, sealing key and data directory", func(_ context.Context, args []string, flags *pflag.FlagSet) error {
		set := map[string]string{"data_dir": "data", "seal_key": "file:seal.key", "socket": "run/groupmanager.sock", "listen": listen}
		for key, v := range map[string]string{"uri": uri, "audience": audience, "role": role, "issuer": issuer} {
			if v != "" {
				set[key] = v
			}
		}
		made, err := initialise(args[0], set)
		if err != nil {
			return err
		}
		return a.format.Show(made, func(t *cli.Table) {
			t.Row("configuration", made.Config)
			t.Row("sealing key", made.SealKey)
			t.Row("data", made.DataDir)
			t.Row("keep a copy of the sealing key apart from the data: without it the data is lost")
			t.Row("next: groupmanager run -c " + made.Config)
		})
	})
	a.format.Flag(cmd)
	fs := cmd.Flags()
	fs.StringVar(&listen, "listen", "127.0.0.1:5683", "UDP address and port that devices reach")
	fs.StringVar(&uri, "uri", "", "CoAP URI that devices are told to use, with a numeric address (default: made from --listen)")
	fs.StringVar(&role, "role", "", "as (Authorization Server), gm (Group Manager), or both (default both)")
	fs.StringVar(&issuer, "issuer", "", "name of this Authorization Server in access tokens (default as-AUDIENCE)")
	fs.StringVar(&audience, "audience", "", "name of this Group Manager in access tokens (default gm1)")
	return cmd
}

// initialise makes the directory. It replaces nothing: when a part of it is there
// already it refuses before it makes anything.
func initialise(dir string, set map[string]string) (*initialised, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	made := &initialised{Config: filepath.Join(dir, configName), SealKey: filepath.Join(dir, "seal.key"), DataDir: filepath.Join(dir, "data")}
	for _, path := range []string{made.Config, made.SealKey, made.DataDir} {
		if _, err := os.Lstat(path); err == nil {
			return nil, cli.Fail(exitRefused, "name another directory, or run the Group Manager that is there", "%s is there already; nothing was changed", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
		}
	}
	text := exampleConfig(set)
	if err := tryConfig(text, dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
	}
	if err := os.Mkdir(made.DataDir, 0o700); err != nil {
		return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
	}
	if err := seal.CreateKeyFile(made.SealKey); err != nil {
		return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
	}
	anchor := set["anchor"]
	if anchor != "" && !filepath.IsAbs(anchor) {
		anchor = filepath.Join(dir, anchor)
	}
	if err := createStore(made.DataDir, anchor, secretRef{"file", made.SealKey}); err != nil {
		return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
	}
	f, err := createSecretFile(made.Config)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
	}
	return made, nil
}

// tryConfig reads the file that is about to be written as `run` would.
func tryConfig(text, dir string) error {
	values, err := parseConfig(filepath.Join(dir, configName), []byte(text))
	if err != nil {
		return cli.Fail(cli.ExitUsage, "", "%w", err)
	}
	c := &config{}
	var faults []error
	for _, s := range settings() {
		v := s.def
		if l, ok := values[s.key]; ok {
			v = l.text
		}
		if err := s.set(c, v, dir); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.key, err))
		}
	}
	if len(faults) == 0 {
		faults = c.check()
	}
	if len(faults) > 0 {
		return cli.Fail(cli.ExitUsage, "see groupmanager init --help", "%w", errors.Join(faults...))
	}
	return nil
}
