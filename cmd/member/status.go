package main

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/member"
)

// groupStatus is the state of a membership as it is printed; no key is in it.
type groupStatus struct {
	Group    string     `json:"group"`
	Roles    string     `json:"roles"`
	SenderID string     `json:"sender_id,omitempty"`
	Gid      string     `json:"gid"`
	Version  uint64     `json:"version"`
	Expires  time.Time  `json:"expires"`
	Stale    bool       `json:"stale"`
	Inactive bool       `json:"inactive"`
	Node     string     `json:"node"`
	Address  string     `json:"address,omitempty"`
	Peers    []peerInfo `json:"peers"`
}

type peerInfo struct {
	SenderID string `json:"sender_id"`
	Name     string `json:"name"`
	Roles    string `json:"roles,omitempty"`
	Addr     string `json:"addr,omitempty"`
}

type deviceStatus struct {
	Device string        `json:"device"`
	Addr   string        `json:"addr"`
	Groups []groupStatus `json:"groups"`
}

func (a *app) statusCmd() *cobra.Command {
	cmd := cli.Verb("status", "Say which groups the device is in, under which keys and with whom", func(ctx context.Context, _ []string, _ *pflag.FlagSet) error {
		if err := a.format.Check(); err != nil {
			return err
		}
		return a.device(ctx, nil, nil, func(_ context.Context, d *member.Device) error { return a.showStatus(d, d.Groups()) })
	})
	a.format.Flag(cmd)
	return cmd
}

func (a *app) showStatus(d *member.Device, groups []*member.Group) error {
	s := deviceStatus{Device: d.Name(), Addr: d.Addr().String(), Groups: []groupStatus{}}
	for _, g := range groups {
		st := g.Status()
		gs := groupStatus{
			Group: st.Group, Roles: st.Roles.String(), SenderID: hex.EncodeToString(st.SenderID), Gid: hex.EncodeToString(st.Gid),
			Version: st.Version, Expires: st.Expires, Stale: st.Stale, Inactive: st.Inactive, Node: st.Node, Peers: []peerInfo{},
		}
		if st.Address.IsValid() {
			gs.Address = st.Address.String()
		}
		for _, p := range g.Peers() {
			gs.Peers = append(gs.Peers, describePeer(p))
		}
		s.Groups = append(s.Groups, gs)
	}
	return a.format.Show(s, func(t *cli.Table) {
		t.Row("DEVICE", "GROUP", "ROLES", "SENDER ID", "GID", "VERSION", "EXPIRES", "PEERS")
		for _, g := range s.Groups {
			version := any(g.Version)
			switch {
			case g.Stale:
				version = "outdated"
			case g.Inactive:
				version = "inactive"
			}
			t.Row(s.Device, g.Group, g.Roles, g.SenderID, g.Gid, version, g.Expires, len(g.Peers))
		}
	})
}

func describePeer(p member.Peer) peerInfo {
	i := peerInfo{SenderID: hex.EncodeToString(p.SenderID), Name: p.Name}
	if p.Roles != 0 {
		i.Roles = p.Roles.String()
	}
	if p.Addr.IsValid() {
		i.Addr = p.Addr.String()
	}
	return i
}
