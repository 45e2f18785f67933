package main

import "github.com/spf13/cobra"

// extraCommands are the verbs that need more than a running Group Manager.
var extraCommands = []func(streams) *cobra.Command{}
