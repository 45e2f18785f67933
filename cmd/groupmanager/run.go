package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) runCmd() *cobra.Command {
	cmd := a.verb("run", "Serve devices and operators until interrupted", func(ctx context.Context, _ []string, flags *pflag.FlagSet) error {
		cfg, err := loadConfig(a.configFile, flags, a.env)
		if err != nil {
			return err
		}
		return cfg.checkFiles()
	})
	addSettingFlags(cmd.Flags(), runFlags...)
	return cmd
}
