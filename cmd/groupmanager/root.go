package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what every verb shares: the output, the environment and the global flags.
type app struct {
	streams
	format cli.Output
	env    func(string) (string, bool)

	configFile string
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string, s streams, env func(string) (string, bool)) int {
	a := &app{streams: s, format: cli.Output{W: s.out}, env: env}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	if err := root.ExecuteContext(ctx); err != nil {
		return cli.Report(s.err, "groupmanager", err, classify)
	}
	return cli.ExitOK
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "groupmanager",
		Short: "OSCORE Group Manager and Authorization Server for secure CoAP groups",
		Long: "groupmanager hands out and renews the keys of Group OSCORE groups.\n\n" +
			"Start with `groupmanager demo`, or with `groupmanager init` and `groupmanager run`.\n\n" +
			"Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 only a part could be done;\n" +
			"4 no Group Manager answers on the socket; 5 no such group, member, identity or device;\n" +
			"6 refused because of the present state or of who asks.",
	}
	cli.Root(root)
	fs := root.PersistentFlags()
	fs.StringVarP(&a.configFile, "config", "c", "", "configuration `file` (default: $COHORT_CONFIG, ./groupmanager.yaml, /etc/cohort/groupmanager.yaml)")
	addSettingFlags(fs, "socket")
	root.AddCommand(a.initCmd(), a.runCmd(), a.validateCmd(), a.healthcheckCmd(), a.versionCmd(), a.groupCmd(), a.memberCmd(), a.identityCmd(), a.deviceCmd(), a.tokenCmd(), a.asCmd(), a.rsCmd(), a.demoCmd())
	return root
}

// remote makes a verb that calls the running Group Manager.
func (a *app) remote(use, short string, run func(ctx context.Context, c *httpapi.Client, args []string) error) *cobra.Command {
	cmd := cli.Verb(use, short, func(ctx context.Context, args []string, flags *pflag.FlagSet) error {
		if err := a.format.Check(); err != nil {
			return err
		}
		cfg, err := loadConfig(a.configFile, flags, a.env)
		if err != nil {
			return err
		}
		client := httpapi.NewClient(cfg.Socket)
		defer client.Close()
		return run(ctx, client, args)
	})
	a.format.Flag(cmd)
	return cmd
}
