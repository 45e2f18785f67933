package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) validateCmd() *cobra.Command {
	cmd := cli.Verb("validate", "Check the configuration without starting anything", func(_ context.Context, _ []string, flags *pflag.FlagSet) error {
		cfg, err := loadConfig(a.configFile, flags, a.env)
		if err != nil {
			return err
		}
		if err := cfg.checkFiles(); err != nil {
			return err
		}
		shown := map[string]string{"file": cfg.File, "data_dir": cfg.DataDir, "seal_key": cfg.SealKey.String(), "anchor": cfg.Anchor, "socket": cfg.Socket,
			"listen": cfg.Listen.String(), "uri": cfg.URI, "audience": cfg.Audience, "log_level": cfg.LogLevel.String(), "log_format": cfg.LogFormat}
		return a.format.Show(shown, func(t *cli.Table) {
			t.Row("file", cfg.File)
			for _, s := range settings() {
				t.Row(s.key, shown[s.key])
			}
			t.Row("the configuration is valid")
		})
	})
	a.format.Flag(cmd)
	addSettingFlags(cmd.Flags(), runFlags...)
	return cmd
}

// runFlags are the settings that run and validate take as flags; socket is global.
var runFlags = []string{"data_dir", "seal_key", "anchor", "role", "listen", "uri", "audience", "log_level", "log_format"}
