// Package cli is what the commands share: failures with an exit code and a
// hint, verbs that check their arguments, and tables or JSON for output.
package cli
