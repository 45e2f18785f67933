package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) runCmd() *cobra.Command {
	var first string
	cmd := cli.Verb("run", "Serve devices and operators until interrupted", func(ctx context.Context, _ []string, flags *pflag.FlagSet) error {
		if first != "" {
			if err := a.firstStart(first); err != nil {
				return err
			}
		}
		cfg, err := loadConfig(a.configFile, flags, a.env)
		if err != nil {
			return err
		}
		if err := cfg.checkFiles(); err != nil {
			return err
		}
		return a.serve(ctx, cfg)
	})
	cmd.Flags().StringVar(&first, "init", "", "use the configuration in `DIR`, and make it first, as init does, when DIR has none; for containers")
	addSettingFlags(cmd.Flags(), runFlags...)
	return cmd
}

// firstStart makes dir's configuration if there is none, and uses it.
func (a *app) firstStart(dir string) error {
	if a.configFile != "" {
		return cli.Fail(cli.ExitUsage, "give one of them", "--init and --config exclude each other")
	}
	file := filepath.Join(dir, configName)
	if _, err := os.Lstat(file); err != nil {
		if _, err := initialise(dir, map[string]string{"data_dir": "data", "seal_key": "file:seal.key", "socket": "run/groupmanager.sock"}); err != nil {
			return err
		}
	}
	a.configFile = file
	return nil
}
