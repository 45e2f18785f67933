package cli

import "github.com/spf13/cobra"

// Complete names the values of a flag to the shell. The flag must exist.
func Complete(c *cobra.Command, flag string, values ...string) {
	err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err)
	}
}
