package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/member"
)

// Exit codes of this command beyond those of package cli.
const (
	exitUnreachable = 4
	exitNoMember    = 5
	exitRefused     = 6
	exitStale       = 7
)

// app is what every verb shares.
type app struct {
	out, err io.Writer
	format   cli.Output

	enrolment string
	state     string
	listen    string
	iface     string
	hopLimit  int
	rekeying  string
	anchor    string
	verbose   bool
}

// execute runs the command line and returns the exit code.
func execute(ctx context.Context, args []string, out, errw io.Writer) int {
	a := &app{out: out, err: errw, format: cli.Output{W: out}}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errw)
	if err := root.ExecuteContext(ctx); err != nil {
		return cli.Report(errw, "member", err, classify)
	}
	return cli.ExitOK
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "member",
		Short: "One device of a Group OSCORE group",
		Long: "member puts a device into groups: it joins, serves resources, sends requests and leaves.\n\n" +
			"It needs the enrolment file that `groupmanager device enroll` made, and keeps its keys in a\n" +
			"directory that no other process and no other device may use.\n\n" +
			"Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 no answer, or fewer than wanted;\n" +
			"4 a server does not answer; 5 not a member, or no such peer; 6 refused by the Authorization Server\n" +
			"or the Group Manager; 7 the keys are outdated or the group is not active.",
	}
	cli.Root(root)
	fs := root.PersistentFlags()
	fs.StringVarP(&a.enrolment, "enrolment", "e", "", "enrolment `file` of the device (required)")
	fs.StringVar(&a.state, "state", "", "state `directory` (default: the enrolment file's name with .state for its ending)")
	fs.StringVar(&a.listen, "listen", "", "`address:port` of this device; remembered (default: the address from which the Group Manager is reached, any port)")
	fs.StringVar(&a.iface, "interface", "", "network interface `name` for multicast; remembered (default: that of the address)")
	fs.IntVar(&a.hopLimit, "hop-limit", 1, "hop limit of requests to a group")
	fs.StringVar(&a.rekeying, "rekeying", member.RekeyByControlURI.String(), "`way` to hear of new keys: control-uri, where the Group Manager sends them; observe, behind a NAT or firewall; both")
	fs.StringVar(&a.anchor, "anchor", "", "`file` outside the state directory, best on another medium, that shows when the state was set back; always give it, or never")
	fs.BoolVarP(&a.verbose, "verbose", "v", false, "log what the device does to standard error")
	if err := errors.Join(root.MarkPersistentFlagFilename("enrolment", "json"), root.MarkPersistentFlagDirname("state")); err != nil {
		panic(err) // a flag that does not exist
	}
	root.AddCommand(a.joinCmd(), a.serveCmd(), a.statusCmd(), a.leaveCmd(), a.observeCmd(), a.decodeCmd())
	cli.Complete(root, "rekeying", "control-uri", "observe", "both")
	root.AddCommand(a.askCmds()...)
	return root
}

func (a *app) log() *slog.Logger {
	level := slog.LevelError
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

// classify gives errors of the libraries their exit code and hint.
func classify(err error) (code int, hint string) {
	switch {
	case errors.Is(err, member.ErrTokenRefused):
		return exitRefused, "groupmanager device show DEVICE tells which groups and roles the device may ask for"
	case errors.Is(err, member.ErrUnauthorised), errors.Is(err, member.ErrManager):
		return exitRefused, ""
	case errors.Is(err, member.ErrInactive):
		return exitStale, "the operator has not activated the group"
	case errors.Is(err, member.ErrStaleKey):
		return exitStale, "the Group Manager has newer keys and could not be reached for them"
	case errors.Is(err, member.ErrEvicted):
		return exitNoMember, "if the device is still authorised it may join again: member join --group NAME"
	case errors.Is(err, member.ErrNotMember):
		return exitNoMember, "join the group first: member join --group NAME"
	case errors.Is(err, member.ErrUnknownPeer):
		return exitNoMember, "member status lists the peers that are known; a request to the group finds out their addresses, or give --to NAME@ADDRESS:PORT"
	case errors.Is(err, member.ErrRole):
		return cli.ExitUsage, "leave the group and join it with --roles that include what the device is to do"
	case errors.Is(err, keystore.ErrHeld):
		return cli.ExitFailed, "stop the other process, or use another device for this"
	case errors.Is(err, keystore.ErrWrongKey):
		return cli.ExitUsage, "the state belongs to another enrolment: bring that back, or name another directory with --state and join anew"
	case errors.Is(err, keystore.ErrCorrupt):
		return cli.ExitFailed, "remove the state directory and join anew; copies of it must not be used"
	case errors.Is(err, keystore.ErrInsecure):
		return cli.ExitUsage, "chmod 700 the state directory and chmod 600 what is in it"
	case errors.Is(err, member.ErrConfig), errors.Is(err, member.ErrAlreadyMember):
		return cli.ExitUsage, ""
	case errors.Is(err, endpoint.ErrTimeout), errors.Is(err, endpoint.ErrNoResponse), errors.Is(err, context.DeadlineExceeded):
		return exitUnreachable, "is the server running, and is this the right address?"
	}
	return cli.ExitFailed, ""
}
