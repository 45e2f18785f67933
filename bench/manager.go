package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"

	"github.com/cohort-iot/cohort/internal/manager"
	"github.com/cohort-iot/cohort/oscore"
)

// How many there are for each round: 100 rounds give the numbers of the goals.
const (
	storedPerRound  = 200  // members that are there already when others join
	devicesPerRound = 100  // devices in the other process
	startPerRound   = 1000 // members that a start finds
	clients         = 256  // devices that ask at once
	floodRate       = 10_000
)

// managerSuite measures a whole Group Manager: sockets, cryptography and a store
// on the disk in this process, devices with their own cryptography and a socket
// each in another one.
func managerSuite(m *meter) (_ []figure, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	g, err := openManager(filepath.Join(dir, "store.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	d, err := startDevices(g)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	stored, devices, started := storedPerRound*m.rounds, devicesPerRound*m.rounds, startPerRound*m.rounds
	for _, name := range []string{"big", "lamps", "flood"} {
		if _, err := g.svc.CreateGroup(context.Background(), manager.GroupSpec{Name: name, Active: true}); err != nil {
			return nil, err
		}
	}
	if err := g.populate("big", stored); err != nil {
		return nil, err
	}
	before := live()
	if _, err := d.do("associate", "", devices); err != nil {
		return nil, err
	}
	floor, err := joinFloor(m)
	if err != nil {
		return nil, err
	}
	joins, err := g.joins(m, d, "lamps", devices)
	if err != nil {
		return nil, err
	}
	perMember := (live() - before) / float64(devices)
	big, err := g.joins(m, d, "big", devices)
	if err != nil {
		return nil, err
	}
	out := []figure{
		atMost(fmt.Sprintf("join with %d members stored, server CPU", stored), big.each(), floor, "µs", 150).noted("floor: one verification, one signature, OSCORE"),
		atLeast("joins a second, durable", big.rate(), "1/s", 5000).noted(big.limit()),
		atMostTimes("join with many members beside one with none, server CPU", big.each(), joins.each(), "µs", 1.15).noted(joins.limit()),
	}
	idle, err := g.idleJoin(d)
	if err != nil {
		return nil, err
	}
	out = append(out,
		count("fsyncs of one join on an idle server", idle.syncs, "fsyncs", 3).noted("two for each commit"),
		shown("one join on an idle server, round trip", idle.took, floor, "µs").noted(fmt.Sprintf("of which the commit %.0f µs", idle.commit)))
	rekey, err := g.rekey(m, d, "lamps", "flood", devices)
	if err != nil {
		return nil, err
	}
	out = append(out,
		count(fmt.Sprintf("rekey of %d members until all confirmed", devices), rekey.took.Seconds(), "s", 4*float64(devices)/10_000).noted(rekey.limit()),
		count("p99 of other requests meanwhile: reads", p99(rekey.reads), "ms", 50).noted(spread(rekey.reads)),
		count("p99 of other requests meanwhile: joins", p99(rekey.joins), "ms", 50).noted(spread(rekey.joins)),
		count("memory of one member with its association", perMember, "bytes", 4096),
	)
	flood, err := g.flood(m, d, min(devices, 2000))
	if err != nil {
		return nil, err
	}
	out = append(out, flood)
	start, err := g.restart(started)
	if err != nil {
		return nil, err
	}
	return append(out, count(fmt.Sprintf("start with %d members", started), start, "s", 3)), nil
}

// joinFloor is what a join cannot cost less than, in µs: the verification of the
// device's proof, the signature of the Group Manager's own, and the protection of
// a request and a response of their length.
func joinFloor(m *meter) (float64, error) {
	const different = 64 // signatures: the time to verify one depends on it
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return 0, err
	}
	msgs, sigs := make([][]byte, different), make([][]byte, different)
	for i := range msgs {
		msgs[i] = random(40)
		sigs[i] = ed25519.Sign(priv, msgs[i])
	}
	client, err := oscoreContext([]byte{1}, []byte{2})
	if err != nil {
		return 0, err
	}
	server, err := oscoreContext([]byte{2}, []byte{1})
	if err != nil {
		return 0, err
	}
	const joinBody = 300 // bytes, about
	q, a := request(), response()
	q.Payload, a.Payload = make([]byte, joinBody), make([]byte, joinBody)
	next := 0
	o := &op{name: "sign, verify, protect", do: func(int) error {
		next = (next + 1) % different
		ed25519.Sign(priv, msgs[next])
		if !ed25519.Verify(pub, msgs[next], sigs[next]) {
			return errors.New("does not verify")
		}
		return nil
	}}
	var protected []message.Message
	p := &op{
		name: "unprotect and protect",
		make: func(n int) error {
			protected = protected[:0]
			for range n {
				x, _, err := client.ProtectRequest(q, oscore.RequestOptions{})
				if err != nil {
					return err
				}
				protected = append(protected, x)
			}
			return nil
		},
		do: func(i int) error {
			_, x, err := server.UnprotectRequest(protected[i])
			if err == nil {
				_, err = server.ProtectResponse(a, x, oscore.ResponseOptions{})
			}
			return err
		},
	}
	err = (&meter{rounds: min(m.rounds, 20)}).time(o, p)
	return (o.fastest + p.fastest) / 1000, err
}

func (g *managed) joins(m *meter, d *devices, group string, n int) (load, error) {
	return g.measured(m, "join-"+group, n, func() (report, error) { return d.do("join", group, n) })
}

type idleJoin struct{ syncs, took, commit float64 }

// idleJoin lets one device join again, alone. A commit of the store's backend is
// two fsyncs: the data, then what makes it valid.
func (g *managed) idleJoin(d *devices) (idleJoin, error) {
	time.Sleep(300 * time.Millisecond) // what the joins left to be written
	const tries = 20
	best := idleJoin{syncs: 1e9, took: 1e9}
	for range tries {
		commits, spent := g.disk.commits.Load(), g.disk.spent.Load()
		r, err := d.do("join", "lamps", 1)
		if err != nil {
			return best, err
		}
		best.syncs = min(best.syncs, 2*float64(g.disk.commits.Load()-commits))
		if took := micros(r.Took); took < best.took {
			best.took, best.commit = took, micros(time.Duration(g.disk.spent.Load()-spent))
		}
	}
	return best, nil
}

// flood gives the throughput of joins under a flood of others beside that without.
func (g *managed) flood(m *meter, d *devices, n int) (figure, error) {
	alone, err := g.measured(m, "join-alone", n, func() (report, error) { return d.do("join", "flood", n) })
	if err != nil {
		return figure{}, err
	}
	crowded, err := g.measured(m, "join-flooded", n, func() (report, error) { return d.do("flooded", "flood", n) })
	if err != nil {
		return figure{}, err
	}
	f := reachTimes(fmt.Sprintf("joins a second under %d unauthorised ones, beside those without", floodRate), crowded.rate(), alone.rate(), "1/s", 0.8)
	return f.noted(crowded.limit()), nil
}

// restart fills the store, closes it and times the way until everything is served
// again.
func (g *managed) restart(members int) (float64, error) {
	if _, err := g.svc.CreateGroup(context.Background(), manager.GroupSpec{Name: "many", Active: true}); err != nil {
		return 0, err
	}
	if err := g.populate("many", members); err != nil {
		return 0, err
	}
	if err := g.close(); err != nil {
		return 0, err
	}
	start := time.Now()
	err := g.open()
	return time.Since(start).Seconds(), err
}
