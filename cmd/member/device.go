package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/anchorfile"
	"github.com/cohort-iot/cohort/keystore/filestore"
	"github.com/cohort-iot/cohort/member"
)

// device opens the device of the command line, runs f and closes it again.
func (a *app) device(ctx context.Context, resources *endpoint.Mux, adjust func(*member.Config), f func(ctx context.Context, d *member.Device) error) error {
	enrolment, err := a.readEnrolment()
	if err != nil {
		return err
	}
	rekeying, err := member.ParseRekeying(a.rekeying)
	if err != nil {
		return cli.Fail(cli.ExitUsage, "give control-uri, observe or both", "--rekeying: %w", err)
	}
	store, err := a.openStore(enrolment)
	if err != nil {
		return err
	}
	listen, iface, err := a.address(store, enrolment)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	cfg := member.Config{
		Enrolment: enrolment, Store: store, Listen: listen, Interface: iface, HopLimit: a.hopLimit, Log: a.log(), Rekeying: rekeying,
	}
	if adjust != nil {
		adjust(&cfg)
	}
	d, err := member.Open(ctx, cfg, resources)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	if err = remember(ctx, store, listen, iface); err == nil {
		err = f(ctx, d)
	}
	return errors.Join(err, d.Close(), store.Close())
}

func (a *app) readEnrolment() (*ace.Enrolment, error) {
	const hint = "the operator makes it with groupmanager device enroll"
	if a.enrolment == "" {
		return nil, cli.Fail(cli.ExitUsage, hint, "no enrolment file: give --enrolment FILE")
	}
	info, err := os.Stat(a.enrolment)
	if err != nil {
		return nil, cli.Fail(cli.ExitUsage, hint, "enrolment: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, cli.Fail(cli.ExitUsage, "chmod 600 "+a.enrolment, "enrolment: %s has mode %04o and holds a secret", a.enrolment, mode)
	}
	b, err := os.ReadFile(a.enrolment)
	if err != nil {
		return nil, cli.Fail(cli.ExitUsage, hint, "enrolment: %w", err)
	}
	e, err := ace.ParseEnrolment(b)
	if err != nil {
		return nil, cli.Fail(cli.ExitUsage, hint, "enrolment: %s: %w", a.enrolment, err)
	}
	return e, nil
}

// openStore opens the state of the device. It is sealed under a key derived
// from the enrolment secret: the device has that anyway, and without it the
// state is of no use.
func (a *app) openStore(e *ace.Enrolment) (*keystore.Store, error) {
	dir := a.state
	if dir == "" {
		dir = strings.TrimSuffix(a.enrolment, filepath.Ext(a.enrolment)) + ".state"
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, cli.Fail(cli.ExitUsage, "name another with --state", "state directory: %w", err)
	}
	key, err := cose.HKDF(cose.AlgHMAC256, e.AS.Salt.Bytes(), e.AS.Secret.Bytes(), []byte("cohort member state"), keystore.DataKeySize)
	if err != nil {
		return nil, err
	}
	o := keystore.Options{DataKey: key}
	if a.anchor != "" {
		if o.Anchor, err = anchorfile.Open(a.anchor, dir); err != nil {
			return nil, cli.Fail(cli.ExitUsage, "name a file in a directory with mode 0700, outside the state directory", "--anchor: %w", err)
		}
	}
	b, err := filestore.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		return nil, err
	}
	s, err := keystore.Open(b, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("state directory %s: %w", dir, err), b.Close())
	}
	return s, nil
}

// settingsName is the record in which the command keeps what it was told once.
func settingsName() keystore.Name { return keystore.Key("command") }

// address returns where the device listens: what the command line says, else
// what it said before, else the address from which the Group Manager is reached.
func (a *app) address(s *keystore.Store, e *ace.Enrolment) (netip.AddrPort, string, error) {
	listen, iface := a.listen, a.iface
	var stored []byte
	err := s.View(func(r keystore.Reader) (err error) {
		stored, err = r.Get(settingsName())
		return err
	})
	if err != nil && !errors.Is(err, keystore.ErrNotFound) {
		return netip.AddrPort{}, "", err
	}
	oldListen, oldIface, _ := strings.Cut(string(stored), " ")
	if listen == "" {
		listen = oldListen
	}
	if iface == "" {
		iface = oldIface
	}
	if listen == "" {
		if listen, err = localAddress(e.GM); err != nil {
			return netip.AddrPort{}, "", err
		}
	}
	addr, err := netip.ParseAddrPort(listen)
	if err != nil {
		return netip.AddrPort{}, "", cli.Fail(cli.ExitUsage, "as 192.0.2.7:5683 or [2001:db8::7]:0", "--listen %q is no address and port", listen)
	}
	if addr.Port() == 0 && !addr.Addr().IsUnspecified() {
		addr, err = freePort(addr)
	}
	return addr, iface, err
}

// remember stores where the device listened, once it could.
func remember(ctx context.Context, s *keystore.Store, listen netip.AddrPort, iface string) error {
	now := listen.String() + " " + iface
	return s.Update(ctx, func(tx *keystore.Tx) error {
		old, err := tx.Get(settingsName())
		if err == nil && string(old) == now || err != nil && !errors.Is(err, keystore.ErrNotFound) {
			return err
		}
		return tx.Put(settingsName(), []byte(now))
	})
}

// freePort picks a port once, since the Group Manager is told where the device
// is reached and the next start should still be there.
func freePort(a netip.AddrPort) (netip.AddrPort, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return a, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

// localAddress asks the system's routing; nothing is sent.
func localAddress(gm string) (string, error) {
	u, err := url.Parse(gm)
	if err != nil {
		return "", err
	}
	port := u.Port()
	if port == "" {
		port = "5683"
	}
	c, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return "", cli.Fail(exitUnreachable, "give --listen ADDRESS:PORT", "no route to the Group Manager: %w", err)
	}
	defer c.Close()
	return netip.AddrPortFrom(c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), 0).String(), nil
}
