// Command groupmanager is an OSCORE Group Manager with its Authorization Server,
// and the tool to operate it.
//
// `groupmanager init` prepares a directory, `groupmanager run` serves, and the
// other verbs call the running process over its Unix socket. `groupmanager help`
// lists them.
//
// Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 only a part
// could be done; 4 no Group Manager answers on the socket; 5 no such group,
// member or device; 6 refused because of the present state or of who asks.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.LookupEnv)
	stop()
	os.Exit(code)
}
