package manager

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
)

// TestMembershipModel makes random sequences of joins, re-joins, renewals,
// leaves, evictions, rekeyings and restarts, and checks after each step what
// must hold: under one Gid no Sender ID is given out twice, versions only grow,
// no Gid and no node name comes back, and the credentials are exactly those of
// the members.
func TestMembershipModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, func(o *Options) { o.SweepInterval = 1000 * time.Hour })
		ctx := context.Background()
		small := rapid.Bool().Draw(rt, "short nonces")
		w.group("g1", func(c *GroupConfig) {
			c.BackwardSecurity = rapid.Bool().Draw(rt, "backward security")
			if small {
				c.GroupEnc, c.AEAD = cose.AlgAESCCM64_64_128, cose.AlgAESCCM64_64_128
			}
		})
		m := &model{w: w, rt: rt, given: map[string]bool{}, gids: map[string]bool{}, nodes: map[string]bool{}}
		for i := range 4 {
			m.devices = append(m.devices, w.device(fmt.Sprint("d", i), cose.CurveEd25519, entry("g1", requester|responder)))
		}
		m.in = make([]string, len(m.devices))
		m.check()
		m.rt.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				i := m.pick(t)
				res, err := m.devices[i].tryJoin("g1", ace.Roles(rapid.SampledFrom([]int{2, 4, 6}).Draw(t, "roles")), nil)
				if err != nil {
					t.Fatal(err)
				}
				if res.Created == (m.in[i] != "") || (m.in[i] != "" && m.in[i] != res.Node) {
					t.Fatalf("device %d: %+v, was %q", i, res, m.in[i])
				}
				if res.Created && m.nodes[res.Node] {
					t.Fatalf("node name %s again", res.Node)
				}
				m.nodes[res.Node] = true
				m.in[i] = res.Node
				m.gave(t, res.Response.Key.Gid, res.Response.Key.SenderID)
			},
			"renew": func(t *rapid.T) {
				i := m.pick(t)
				if m.in[i] == "" {
					t.Skip()
				}
				r, err := w.NewSenderID(ctx, m.devices[i].caller, "g1", m.in[i])
				if err == nil && r.Rekey != nil { // it was behind, and is not any more
					r, err = w.NewSenderID(ctx, m.devices[i].caller, "g1", m.in[i])
				}
				if err != nil || r.SenderID == nil {
					t.Fatal(err)
				}
				m.gave(t, w.info("g1").Gid, r.SenderID.SenderID)
			},
			"leave": func(t *rapid.T) {
				i := m.pick(t)
				if m.in[i] == "" {
					t.Skip()
				}
				if err := w.Leave(ctx, m.devices[i].caller, "g1", m.in[i]); err != nil {
					t.Fatal(err)
				}
				m.in[i] = ""
			},
			"evict": func(t *rapid.T) {
				i := m.pick(t)
				if m.in[i] == "" {
					t.Skip()
				}
				if _, err := w.Evict(ctx, "g1", m.in[i], CauseOperator); err != nil {
					t.Fatal(err)
				}
				m.in[i] = ""
			},
			"rekey": func(t *rapid.T) {
				if _, err := w.Rekey(ctx, "g1", CauseOperator); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(t *rapid.T) {
				w.restart()
				for _, d := range m.devices {
					d.post(24*time.Hour, entry("g1", requester|responder))
				}
			},
			"": func(*rapid.T) { m.check() },
		})
		w.Stop()
		_ = w.store.Close()
	})
}

type model struct {
	w       *world
	rt      *rapid.T
	devices []*device
	in      []string // node name of each device; empty: not a member
	given   map[string]bool
	gids    map[string]bool
	nodes   map[string]bool
	gid     string
	version uint64
	begun   bool
}

func (m *model) pick(t *rapid.T) int {
	return rapid.IntRange(0, len(m.devices)-1).Draw(t, "device")
}

// gave notes that a Sender ID was given out under a Gid.
func (m *model) gave(t *rapid.T, gid, id []byte) {
	k := string(gid) + "/" + string(id)
	if m.given[k] {
		t.Fatalf("Sender ID %x twice under Gid %x", id, gid)
	}
	m.given[k] = true
}

func (m *model) check() {
	g := m.w.info("g1")
	if m.begun && (g.Version < m.version || (g.Version == m.version) != (string(g.Gid) == m.gid)) {
		m.rt.Fatalf("version %d Gid %x after %d %x", g.Version, g.Gid, m.version, m.gid)
	}
	if !m.begun || g.Version > m.version {
		if m.gids[string(g.Gid)] {
			m.rt.Fatalf("Gid %x again", g.Gid)
		}
		m.gids[string(g.Gid)] = true
	}
	m.begun, m.version, m.gid = true, g.Version, string(g.Gid)
	want := map[string]*device{}
	for i, node := range m.in {
		if node != "" {
			want[node] = m.devices[i]
		}
	}
	list, err := m.w.Members(context.Background(), "g1")
	if err != nil || len(list) != len(want) || g.Members != uint64(len(want)) {
		m.rt.Fatalf("%d members, %d counted, want %d: %v", len(list), g.Members, len(want), err)
	}
	for _, i := range list {
		d := want[i.Node]
		if d == nil || string(d.cred.Bytes()) != string(i.Credential) {
			m.rt.Fatalf("member %s is not who it should be", i.Node)
		}
		// What a member holds now was held when the Gid was assigned, or given out since.
		m.given[m.gid+"/"+string(i.SenderID)] = true
	}
	for i, node := range m.in {
		_, err := m.w.Num(context.Background(), m.devices[i].caller, "g1")
		if (err == nil) != (node != "") {
			m.rt.Fatalf("device %d, member %q: %v", i, node, err)
		}
	}
}
