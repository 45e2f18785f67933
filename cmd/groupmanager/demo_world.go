package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/ace"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/endpoint"
	"github.com/cohort-iot/cohort/internal/secret"
	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/filestore"
	"github.com/cohort-iot/cohort/member"
)

const (
	demoGroup = "hall"
	demoPath  = "/light"
	// demoLeisure is the time over which the lamps spread their answers.
	demoLeisure = 250 * time.Millisecond
	// demoWait is how long a group request waits for answers.
	demoWait = 3 * time.Second
)

// demo is the small world of the demonstration.
type demo struct {
	dir    string
	log    *slog.Logger
	report *demoReport

	cfg    *config
	server *server
	client *httpapi.Client

	iface     string         // the loopback interface
	group     netip.AddrPort // multicast address of the group
	multicast bool           // false: fan-out by unicast instead

	enrolments map[string]*ace.Enrolment
	devices    map[string]*demoDevice
	seen       map[string]uint64 // Gids in hex, with the version they came with
	thief      *thief
	evictedAt  time.Time
	stolen     demoMember // of the evicted lamp
}

// demoDevice is one device with its store.
type demoDevice struct {
	*member.Device
	store *keystore.Store
	lamp  *lamp
}

// names of the devices; the last octet of each one's address.
var demoDevices = []struct {
	name  string
	octet byte
	roles string
}{
	{"switch", 2, "requester"},
	{"lamp-1", 3, "responder"},
	{"lamp-2", 4, "responder"},
	{"lamp-3", 5, "requester+responder"},
}

const stolenLamp = "lamp-3"

// thiefOctet is the last octet of the address the thief uses.
const thiefOctet = 6

func loopback(octet byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, octet}), port)
}

// loopbackName finds the name of the loopback interface.
func loopbackName() (string, error) {
	list, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			return i.Name, nil
		}
	}
	return "", errors.New("this machine has no loopback interface that is up")
}

// freeUDPPort picks a port that is free on 127.0.0.1 now.
func freeUDPPort() (uint16, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
}

// configure makes the configuration as `groupmanager init` does and reads it
// as `groupmanager run` does.
func (d *demo) configure() error {
	port, err := freeUDPPort()
	if err != nil {
		return err
	}
	made, err := initialise(filepath.Join(d.dir, "groupmanager"), map[string]string{
		"data_dir": "data", "seal_key": "file:seal.key", "socket": "run/groupmanager.sock", "listen": loopback(1, port).String(),
		// Proves at the restart that the store is the newest, so that the
		// associations with the devices need not be dropped.
		"anchor": "anchor",
	})
	if err != nil {
		return err
	}
	none := func(string) (string, bool) { return "", false }
	d.cfg, err = loadConfig(made.Config, pflag.NewFlagSet("demo", pflag.ContinueOnError), none)
	return err
}

// openDevice starts a device on its own loopback address.
func (d *demo) openDevice(ctx context.Context, name string, octet byte) error {
	dir := filepath.Join(d.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	b, err := filestore.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		return err
	}
	key := make(secret.Bytes, keystore.DataKeySize)
	if err := randomBytes(key); err != nil {
		return errors.Join(err, b.Close())
	}
	store, err := keystore.Open(b, keystore.Options{DataKey: key})
	if err != nil {
		return errors.Join(err, b.Close())
	}
	dd := &demoDevice{store: store, lamp: newLamp()}
	mx := endpoint.NewMux()
	mx.Handle(demoPath, endpoint.AcceptGroup|endpoint.AcceptPairwise, dd.lamp)
	dd.Device, err = member.Open(ctx, member.Config{
		Enrolment: d.enrolments[name], Store: store, Listen: loopback(octet, 0), Interface: d.iface,
		Leisure: demoLeisure, PairwiseAnswers: name == stolenLamp, Log: d.log.With("device", name),
	}, mx)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	d.devices[name] = dd
	return nil
}

// close ends everything that was started.
func (d *demo) close() error {
	var errs []error
	for _, dd := range d.devices {
		errs = append(errs, dd.Close(), dd.store.Close())
	}
	if d.thief != nil {
		errs = append(errs, d.thief.close())
	}
	if d.client != nil {
		d.client.Close()
	}
	if d.server != nil {
		errs = append(errs, d.server.Close())
	}
	return errors.Join(errs...)
}

// membership of a device by name.
func (d *demo) of(name string) (*member.Group, error) {
	dd := d.devices[name]
	if dd == nil {
		return nil, fmt.Errorf("no device %s", name)
	}
	return dd.Group(demoGroup)
}
