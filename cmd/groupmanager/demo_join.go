package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cohort-iot/cohort/ace"
	httpapi "github.com/cohort-iot/cohort/api/http"
	"github.com/cohort-iot/cohort/member"
)

// start brings up the Group Manager and finds out whether multicast works here.
func (d *demo) start(ctx context.Context, s *step) error {
	if err := d.configure(); err != nil {
		return err
	}
	var err error
	if d.iface, err = loopbackName(); err != nil {
		return err
	}
	port, err := freeUDPPort()
	if err != nil {
		return err
	}
	d.group = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 61, 97}), port)
	d.multicast = multicastWorks(d.iface, d.group)
	if d.server, err = openServer(ctx, d.cfg, d.log.With("process", "groupmanager")); err != nil {
		return err
	}
	d.client = httpapi.NewClient(d.cfg.Socket)
	h, err := d.client.Health(ctx)
	if err != nil {
		return err
	}
	if !h.Ready {
		return fmt.Errorf("the Group Manager is not ready: %v", h.Checks)
	}
	s.show("listen", d.cfg.Listen.String(), "Authorization Server and Group Manager on coap://%s, operator socket with mode 0600", d.cfg.Listen)
	if d.multicast {
		s.show("transport", "multicast", "group requests go by IPv4 UDP multicast to %s on %s", d.group, d.iface)
	} else {
		s.show("transport", "unicast-fan-out", "multicast is not to be had on %s: group requests are sent to each lamp in turn", d.iface)
	}
	return nil
}

// enrol makes the group and the devices known.
func (d *demo) enrol(ctx context.Context, s *step) error {
	g, err := d.client.CreateGroup(ctx, httpapi.GroupSpec{Name: demoGroup, Description: "lamps of the hall"})
	if err != nil {
		return err
	}
	d.seen = map[string]uint64{}
	if err := d.noteGid(g.Keys); err != nil {
		return err
	}
	s.show("group", g.Name, "group %q, version %d, Gid %x, %s", g.Name, g.Version, []byte(g.Gid), g.Modes)
	d.enrolments = map[string]*ace.Enrolment{}
	var names []string
	for _, dev := range demoDevices {
		e, err := d.client.EnrolDevice(ctx, httpapi.DeviceSpec{Name: dev.name, Groups: map[string]string{demoGroup: dev.roles}})
		if err != nil {
			return err
		}
		if d.enrolments[dev.name], err = ace.ParseEnrolment(e.Enrolment); err != nil {
			return err
		}
		names = append(names, dev.name)
		s.say("%s may join %q as %s, and nothing else", dev.name, demoGroup, dev.roles)
	}
	s.Detail["devices"] = names
	return nil
}

// joined is one device's membership as it is printed.
type joined struct {
	Device     string `json:"device"`
	Addr       string `json:"addr"`
	SenderID   string `json:"sender_id"`
	Version    uint64 `json:"key_version"`
	Node       string `json:"node"`
	ManagerPoP bool   `json:"manager_proved_possession"`
	Peers      int    `json:"credentials_received"`
}

// join authorises the devices and puts them into the group: lamps first, so
// that the switch learns their credentials as it joins.
func (d *demo) join(ctx context.Context, s *step) error {
	d.devices = map[string]*demoDevice{}
	var list []joined
	for i := len(demoDevices) - 1; i >= 0; i-- {
		dev := demoDevices[i]
		if err := d.openDevice(ctx, dev.name, dev.octet); err != nil {
			return err
		}
		roles, err := ace.ParseRoles(dev.roles)
		if err != nil {
			return err
		}
		o := member.JoinOptions{Group: demoGroup, Roles: roles}
		if d.multicast {
			o.Address = d.group
		}
		g, err := d.devices[dev.name].Join(ctx, o)
		if err != nil {
			return fmt.Errorf("%s: %w", dev.name, err)
		}
		st := g.Status()
		list = append(list, joined{
			Device: dev.name, Addr: d.devices[dev.name].Addr().String(), SenderID: hex.EncodeToString(st.SenderID),
			Version: st.Version, Node: st.Node, Peers: st.Peers,
			ManagerPoP: true, // Join fails otherwise, and installs nothing
		})
		s.say("%s on %s: token over OSCORE, possession of its key proved, the Group Manager's proof verified; Sender ID %x, key version %d, %d credentials",
			dev.name, d.devices[dev.name].Addr(), st.SenderID, st.Version, st.Peers)
	}
	s.Detail["members"] = list
	return d.distinctSenderIDs(list)
}

func (d *demo) distinctSenderIDs(list []joined) error {
	seen := map[string]string{}
	for _, j := range list {
		if other, dup := seen[j.SenderID]; dup {
			return fmt.Errorf("%s and %s have the same Sender ID %s", j.Device, other, j.SenderID)
		}
		seen[j.SenderID] = j.Device
	}
	return nil
}

// errReused reports that something was given out twice.
var errReused = errors.New("reused")

// noteGid remembers a Gid; it must be new, and its version above all before.
func (d *demo) noteGid(k httpapi.Keys) error {
	gid := hex.EncodeToString(k.Gid)
	if v, dup := d.seen[gid]; dup && v != k.Version {
		return fmt.Errorf("%w: Gid %s of version %d is that of version %d again", errReused, gid, k.Version, v)
	}
	for other, v := range d.seen {
		if other != gid && v >= k.Version {
			return fmt.Errorf("%w: version %d came after version %d", errReused, k.Version, v)
		}
	}
	d.seen[gid] = k.Version
	return nil
}
