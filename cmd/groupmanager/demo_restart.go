package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	httpapi "github.com/cohort-iot/cohort/api/http"
)

// restart stops the Group Manager, starts it as a process of its own on the
// same store, kills that without warning, and opens the store a third time.
func (d *demo) restart(ctx context.Context, s *step) error {
	before, err := d.members(ctx)
	if err != nil {
		return err
	}
	if err := d.server.Close(); err != nil {
		return err
	}
	d.server = nil
	s.say("stopped; %d members are in the store", len(before))

	killed, err := d.runChild(ctx, s, before)
	if err != nil {
		return err
	}
	if d.server, err = openServer(ctx, d.cfg, d.log.With("process", "groupmanager")); err != nil {
		return err
	}
	keys, err := d.client.Keys(ctx, demoGroup)
	if err != nil {
		return err
	}
	after, err := d.members(ctx)
	if err != nil {
		return err
	}
	s.show("members", after, "opened anew after the kill: the same %d members with the same Sender IDs", len(after))
	if err := errors.Join(sameMembers(before, after), d.noteGid(keys)); err != nil {
		return err
	}
	s.show("key_version", keys.Version, "version %d, Gid %x, cause %s: a restart rekeys, and no Gid and no version came twice (%d in all)",
		keys.Version, []byte(keys.Gid), keys.Cause, len(d.seen))
	if keys.Version <= killed.Version {
		return fmt.Errorf("version %d does not follow version %d", keys.Version, killed.Version)
	}
	_, keys, err = d.confirmed(ctx, len(before))
	if err != nil {
		return err
	}
	answers, err := d.ask(ctx, s, []string{"lamp-1", "lamp-2"})
	s.Detail["answers"] = answers
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Version != keys.Version {
			return fmt.Errorf("%s answered under version %d, not %d", a.From, a.Version, keys.Version)
		}
	}
	return nil
}

// runChild starts `groupmanager run` on the store and kills it.
func (d *demo) runChild(ctx context.Context, s *step, before []demoMember) (httpapi.Keys, error) {
	self, err := os.Executable()
	if err != nil {
		return httpapi.Keys{}, err
	}
	cmd := exec.Command(self, "run", "--config", d.cfg.File)
	cmd.Env = []string{"HOME=" + d.dir, "PATH=" + os.Getenv("PATH")}
	logFile, err := os.OpenFile(d.dir+"/child.log", os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return httpapi.Keys{}, err
	}
	defer logFile.Close()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return httpapi.Keys{}, err
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Kill()
		<-gone
	}()
	keys, err := d.awaitChild(ctx, gone)
	if err != nil {
		return keys, err
	}
	if err := d.noteGid(keys); err != nil {
		return keys, err
	}
	list, err := d.members(ctx)
	if err != nil {
		return keys, err
	}
	if err := sameMembers(before, list); err != nil {
		return keys, err
	}
	s.show("child", map[string]any{"pid": cmd.Process.Pid, "key_version": keys.Version},
		"started again as process %d on the same store: version %d; killed with SIGKILL", cmd.Process.Pid, keys.Version)
	return keys, nil
}

// awaitChild waits until the child serves.
func (d *demo) awaitChild(ctx context.Context, gone chan error) (httpapi.Keys, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for {
		if h, err := d.client.Health(ctx); err == nil && h.Ready {
			return d.client.Keys(ctx, demoGroup)
		}
		select {
		case err := <-gone:
			gone <- err
			text, _ := os.ReadFile(d.dir + "/child.log")
			return httpapi.Keys{}, fmt.Errorf("the child ended: %v: %s", err, text)
		case <-ctx.Done():
			return httpapi.Keys{}, fmt.Errorf("the child does not become ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// sameMembers compares memberships, whatever keys they have confirmed.
func sameMembers(a, b []demoMember) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d members before and %d after", len(a), len(b))
	}
	for i := range a {
		if a[i].Device != b[i].Device || a[i].Node != b[i].Node || a[i].SenderID != b[i].SenderID {
			return fmt.Errorf("member %+v became %+v", a[i], b[i])
		}
	}
	return nil
}
