package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// versionInfo says what this program is and which texts it follows.
type versionInfo struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit,omitempty"`
	Date     string   `json:"date,omitempty"` // of the commit
	Modified bool     `json:"modified,omitempty"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Specs    []string `json:"specs"`
}

func buildVersion() versionInfo {
	v := versionInfo{
		Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Specs: []string{"RFC 8613", "draft-ietf-core-oscore-groupcomm-28", "RFC 9200", "RFC 9203", "RFC 9237", "RFC 9594",
			"draft-ietf-ace-key-groupcomm-oscore-21"},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.time":
				v.Date = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return v
}

func (a *app) versionCmd() *cobra.Command {
	cmd := cli.Verb("version", "Say which version this is and which specifications it follows", func(context.Context, []string, *pflag.FlagSet) error {
		v := buildVersion()
		return a.format.Show(v, func(t *cli.Table) {
			t.Row("version", v.Version)
			t.Row("commit", v.Commit)
			t.Row("go", v.Go)
			t.Row("platform", v.Platform)
			for _, s := range v.Specs {
				t.Row("follows", s)
			}
		})
	})
	a.format.Flag(cmd)
	return cmd
}
