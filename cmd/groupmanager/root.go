package main

import (
	"context"

	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	httpapi "github.com/cohort-iot/cohort/api/http"
)

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// app is what every verb shares: the streams, the environment and the global flags.
type app struct {
	streams
	env func(string) (string, bool)

	configFile string
	output     string // table or json
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string, s streams, env func(string) (string, bool)) int {
	a := &app{streams: s, env: env}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	if err := root.ExecuteContext(ctx); err != nil {
		return report(s.err, err)
	}
	return exitOK
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "groupmanager",
		Short: "OSCORE Group Manager and Authorization Server for secure CoAP groups",
		Long: "groupmanager hands out and renews the keys of Group OSCORE groups.\n\n" +
			"Start with `groupmanager demo`, or with `groupmanager init` and `groupmanager run`.\n\n" +
			"Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 only a part could be done;\n" +
			"4 no Group Manager answers on the socket; 5 no such group, member or device;\n" +
			"6 refused because of the present state or of who asks.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	onlyVerbs(root)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fail(exitUsage, fmt.Sprintf("see %s --help", c.CommandPath()), "%w", err)
	})
	fs := root.PersistentFlags()
	fs.StringVarP(&a.configFile, "config", "c", "", "configuration `file` (default: $COHORT_CONFIG, ./groupmanager.yaml, /etc/cohort/groupmanager.yaml)")
	addSettingFlags(fs, "socket")
	root.AddCommand(a.initCmd(), a.runCmd(), a.validateCmd(), a.healthcheckCmd(), a.versionCmd(), a.groupCmd(), a.memberCmd(), a.deviceCmd())
	for _, more := range extraCommands {
		root.AddCommand(more(a.streams))
	}
	return root
}

// verb makes a command that takes exactly the named arguments.
func (a *app) verb(use, short string, run func(ctx context.Context, args []string, flags *pflag.FlagSet) error) *cobra.Command {
	names := strings.Fields(use)[1:]
	return &cobra.Command{
		Use: use, Short: short,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == len(names) {
				return nil
			}
			want := "no arguments"
			if len(names) > 0 {
				want = strings.Join(names, " ")
			}
			return fail(exitUsage, fmt.Sprintf("see %s --help", c.CommandPath()), "%s takes %s", c.CommandPath(), want)
		},
		RunE: func(c *cobra.Command, args []string) error { return run(c.Context(), args, c.Flags()) },
	}
}

// noun makes a command that only holds verbs.
func (a *app) noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	onlyVerbs(c)
	c.AddCommand(verbs...)
	return c
}

// onlyVerbs makes c show its help when called without a verb, and name the
// nearest one when called with one that it does not have.
func onlyVerbs(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		hint := fmt.Sprintf("see %s --help", c.CommandPath())
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return fail(exitUsage, hint, "%s has no verb %q", c.CommandPath(), args[0])
	}
}

// remote makes a verb that calls the running Group Manager.
func (a *app) remote(use, short string, run func(ctx context.Context, c *httpapi.Client, args []string) error) *cobra.Command {
	cmd := a.verb(use, short, func(ctx context.Context, args []string, flags *pflag.FlagSet) error {
		if a.output != "table" && a.output != "json" {
			return fail(exitUsage, "give -o table or -o json", "unknown output format %q", a.output)
		}
		cfg, err := loadConfig(a.configFile, flags, a.env)
		if err != nil {
			return err
		}
		client := httpapi.NewClient(cfg.Socket)
		defer client.Close()
		return run(ctx, client, args)
	})
	a.outputFlag(cmd)
	return cmd
}

func (a *app) outputFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", "table", "output `format`: table or json")
}
