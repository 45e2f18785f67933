package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
)

func (a *app) deviceEnrollCmd() *cobra.Command {
	var grant []string
	var out, audience string
	cmd := a.remote("enroll DEVICE", "Enrol a device: write its enrolment file, which holds its secret", func(ctx context.Context, c *httpapi.Client, args []string) error {
		groups, err := parseGrants(grant)
		if err != nil {
			return err
		}
		return a.enroll(args[0], out, "is enrolled for", func() (httpapi.Enrolled, error) {
			return c.EnrolDevice(ctx, httpapi.DeviceSpec{Name: args[0], Groups: groups, Audience: audience})
		})
	})
	cmd.Flags().StringArrayVar(&grant, "group", nil, "what it may join, as `GROUP:ROLES` with roles requester, responder, monitor joined by + (repeatable; a * in the name stands for anything)")
	cmd.Flags().StringVar(&audience, "audience", "", "`name` of the Group Manager that it is for, if not this one: rs list shows them")
	cmd.Flags().StringVar(&out, "file", "", "enrolment `file` to write (default DEVICE.enrolment.json)")
	return cmd
}

// enroll writes the enrolment file that get yields, mode 0600. The file is made
// first, so that no secret is lost for want of a place.
func (a *app) enroll(device, path, done string, get func() (httpapi.Enrolled, error)) error {
	if path == "" {
		path = device + ".enrolment.json"
		if filepath.Base(path) != path {
			return cli.Fail(cli.ExitUsage, "name the file with --file", "the name %q makes no file name", device)
		}
	}
	f, err := createSecretFile(path)
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		f.Close()
		if !keep {
			os.Remove(path)
		}
	}()
	e, err := get()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, e.Enrolment, "", "  "); err != nil {
		return err
	}
	text.WriteByte('\n')
	if _, err := f.Write(text.Bytes()); err != nil {
		return lostEnrolment(device, path, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return lostEnrolment(device, path, err)
	}
	keep = true
	for _, g := range e.Missing {
		fmt.Fprintf(a.err, "note: there is no group %s yet: groupmanager group create %s\n", cli.Printable(g), cli.Printable(g))
	}
	shown := struct {
		httpapi.Device
		File string `json:"file"`
	}{e.Device, path}
	return a.format.Show(shown, func(t *cli.Table) {
		t.Row(fmt.Sprintf("device %s %s %s", e.Device.Name, done, grants(e.Device.Groups)))
		t.Row("bring " + path + " to the device over a channel that keeps it secret, then remove it here")
	})
}

// parseGrants reads GROUP:ROLES; roles are requester+responder where none are given.
func parseGrants(values []string) (map[string]string, error) {
	if len(values) == 0 {
		return nil, cli.Fail(cli.ExitUsage, "give --group GROUP:requester+responder", "a device without a group can do nothing")
	}
	groups := map[string]string{}
	for _, v := range values {
		group, roles := v, "requester+responder"
		if i := strings.LastIndexByte(v, ':'); i >= 0 {
			group, roles = v[:i], v[i+1:]
		}
		if group == "" || roles == "" {
			return nil, cli.Fail(cli.ExitUsage, "give --group GROUP:requester+responder", "%q names no group and roles", v)
		}
		if _, dup := groups[group]; dup {
			return nil, cli.Fail(cli.ExitUsage, "join the roles with +", "group %q is given twice", group)
		}
		groups[group] = roles
	}
	return groups, nil
}

// createSecretFile makes a file that only its owner can read; it never replaces one.
func createSecretFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, cli.Fail(cli.ExitFailed, "remove it, or name another file", "%s is there already", path)
	}
	if err != nil {
		return nil, cli.Fail(cli.ExitFailed, "", "%w", err)
	}
	return f, nil
}

func lostEnrolment(device, path string, err error) error {
	return cli.Fail(cli.ExitFailed, "groupmanager device reenroll makes another one", "device %s is enrolled, but %s could not be written: %w", device, path, err)
}
