package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"golang.org/x/sync/errgroup"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
	"github.com/cohort-iot/cohort/internal/secret"
)

// serveDevices is the other process: it does what it is told, line by line, until
// its input ends. It issues the tokens of its devices itself.
func serveDevices(server netip.AddrPort, in io.Reader, out io.Writer) error {
	p := &park{server: server, key: ace.TokenKey{KID: []byte{1}, Alg: cose.AlgAESCCM16_128_128, Key: secret.Hide(make([]byte, 16))}}
	orders := make(chan order)
	var readErr error
	go func() {
		defer close(orders)
		dec := json.NewDecoder(in)
		for {
			var o order
			if readErr = dec.Decode(&o); readErr != nil {
				return
			}
			orders <- o
		}
	}()
	for o := range orders {
		cpu := cpuTime()
		r, err := p.obey(o, orders)
		r.CPU = cpuTime() - cpu
		if err != nil {
			r.Err = err.Error()
		}
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	}
	if readErr != io.EOF {
		return readErr
	}
	return nil
}

// park are all devices.
type park struct {
	server netip.AddrPort
	key    ace.TokenKey
	all    []*lamp
}

func (p *park) obey(o order, more <-chan order) (report, error) {
	switch o.Do {
	case "associate":
		return p.each(o.N, func(i int) error { return p.associate(i) })
	case "join":
		return p.each(o.N, func(i int) error { return p.all[i].join(o.Group) })
	case "probe":
		return p.probe(o.Group, more)
	case "flooded":
		stop, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- p.floodUntil(stop, o.Group) }()
		r, err := p.each(o.N, func(i int) error { return p.all[i].join(o.Group) })
		close(stop)
		if ferr := <-ended; err == nil {
			err = ferr
		}
		return r, err
	}
	return report{}, fmt.Errorf("no such order: %q", o.Do)
}

// each does something with the first n devices, clients of them at once.
func (p *park) each(n int, f func(i int) error) (report, error) {
	for len(p.all) < n {
		p.all = append(p.all, nil)
	}
	start := time.Now()
	var g errgroup.Group
	g.SetLimit(clients)
	for i := range n {
		g.Go(func() error { return f(i) })
	}
	err := g.Wait()
	return report{Took: time.Since(start)}, err
}

func (p *park) associate(i int) error {
	l, err := newLamp(p.server, i)
	if err != nil {
		return err
	}
	p.all[i] = l
	scope := ace.Scope{{Group: "lamps", Roles: ace.RoleResponder}, {Group: "big", Roles: ace.RoleResponder}, {Group: "flood", Roles: ace.RoleResponder}}
	return l.associate(p.key, scope)
}

// probePause is how long a device waits between two requests of a probe.
const probePause = 2 * time.Millisecond

// probe lets one device read the version of a group, and another join another
// group, over and over until told to end; it gives the times of both, in order.
func (p *park) probe(groups string, more <-chan order) (report, error) {
	group, other, _ := strings.Cut(groups, " ")
	end := make(chan struct{})
	go func() {
		<-more
		close(end)
	}()
	var reads, joins []time.Duration
	var g errgroup.Group
	g.Go(func() (err error) {
		reads, err = repeat(end, func() error {
			_, err := p.all[0].ask(codes.GET, "ace-group/"+group+"/num", 0, nil, true)
			return err
		})
		return err
	})
	g.Go(func() (err error) {
		joins, err = repeat(end, func() error { return p.all[1].join(other) })
		return err
	})
	err := g.Wait()
	return report{Times: map[string][]time.Duration{"read": reads, "join": joins}}, err
}

// repeat does something until the end and gives the times it took, in order.
func repeat(end <-chan struct{}, do func() error) (times []time.Duration, err error) {
	for {
		select {
		case <-end:
			slices.Sort(times)
			return times, nil
		case <-time.After(probePause):
		}
		start := time.Now()
		if err := do(); err != nil {
			return nil, err
		}
		times = append(times, time.Since(start))
	}
}

// floodUntil sends joins that must be refused: garbage, in clear, under unknown
// contexts, and tokens that nobody issued.
func (p *park) floodUntil(stop <-chan struct{}, group string) error {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.server))
	if err != nil {
		return err
	}
	defer c.Close()
	kinds, err := strangers(group)
	if err != nil {
		return err
	}
	const pause = 10 * time.Millisecond
	t := time.NewTicker(pause)
	defer t.Stop()
	for n := 0; ; {
		select {
		case <-stop:
			return nil
		case <-t.C:
		}
		for range floodRate / int(time.Second/pause) {
			b := kinds[n%len(kinds)]
			b[2], b[3] = byte(n>>8), byte(n)
			n++
			_, _ = c.Write(b)
		}
	}
}

// benchDevices runs the other process, if this is it.
func benchDevices() (ran bool, code int) {
	addr := os.Getenv(devicesEnv)
	if addr == "" {
		return false, 0
	}
	server, err := netip.ParseAddrPort(addr)
	if err == nil {
		err = serveDevices(server, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: devices:", err)
		return true, 1
	}
	return true, 0
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
