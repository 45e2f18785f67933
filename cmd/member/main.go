// Command member is one device of a Group OSCORE group: it joins, serves,
// asks and leaves.
//
// A device is described by the enrolment file that the operator made with
// "groupmanager device enroll", and keeps its state in a directory of its own.
// "member help" lists the verbs.
//
// Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 no answer, or
// fewer than wanted; 4 a server does not answer; 5 not a member, or no such
// peer; 6 refused by the Authorization Server or the Group Manager; 7 the keys
// are outdated or the group is not active.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
