package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Verb makes a command that takes exactly the arguments named in use.
func Verb(use, short string, run func(ctx context.Context, args []string, flags *pflag.FlagSet) error) *cobra.Command {
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
			return Fail(ExitUsage, fmt.Sprintf("see %s --help", c.CommandPath()), "%s takes %s", c.CommandPath(), want)
		},
		RunE: func(c *cobra.Command, args []string) error { return run(c.Context(), args, c.Flags()) },
	}
}

// Noun makes a command that only holds verbs.
func Noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	OnlyVerbs(c)
	c.AddCommand(verbs...)
	return c
}

// OnlyVerbs makes c show its help when called without a verb, and name the
// nearest one when called with one that it does not have.
func OnlyVerbs(c *cobra.Command) {
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
		return Fail(ExitUsage, hint, "%s has no verb %q", c.CommandPath(), args[0])
	}
}

// Root finishes a root command: errors are reported by the caller, and a
// wrong flag is wrong usage.
func Root(c *cobra.Command) {
	c.SilenceUsage, c.SilenceErrors = true, true
	OnlyVerbs(c)
	c.CompletionOptions.HiddenDefaultCmd = true
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return Fail(ExitUsage, fmt.Sprintf("see %s --help", c.CommandPath()), "%w", err)
	})
}
