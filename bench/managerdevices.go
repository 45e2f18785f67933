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
	"time"

	"github.com/plgd-dev/go-coap/v3/message/codes"
	"golang.org/x/sync/errgroup"

	"github.com/cohort-iot/cohort/ace"
	"github.com/cohort-iot/cohort/cose"
)

// serveDevices is the other process: it does what it is told, line by line, until
// its input ends. It issues the tokens of its devices itself.
func serveDevices(server netip.AddrPort, in io.Reader, out io.Writer) error {
	p := &park{server: server, key: ace.TokenKey{KID: []byte{1}, Alg: cose.AlgAESCCM16_128_128, Key: make([]byte, 16)}}
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
		took, err := p.obey(o, orders)
		r := report{Took: took}
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

func (p *park) obey(o order, more <-chan order) (time.Duration, error) {
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
		took, err := p.each(o.N, func(i int) error { return p.all[i].join(o.Group) })
		close(stop)
		if ferr := <-ended; err == nil {
			err = ferr
		}
		return took, err
	}
	return 0, fmt.Errorf("no such order: %q", o.Do)
}

// each does something with the first n devices, clients of them at once.
func (p *park) each(n int, f func(i int) error) (time.Duration, error) {
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
	return time.Since(start), err
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

// probe asks for the version, over and over until told to end, and gives the
// 99th percentile of the answers' times.
func (p *park) probe(group string, more <-chan order) (time.Duration, error) {
	var times []time.Duration
	for {
		select {
		case <-more:
			if len(times) == 0 {
				return 0, nil
			}
			slices.Sort(times)
			return times[len(times)*99/100], nil
		default:
		}
		start := time.Now()
		if _, err := p.all[0].ask(codes.GET, "ace-group/"+group+"/num", 0, nil, true); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
		time.Sleep(2 * time.Millisecond)
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
	const tick = 10 * time.Millisecond
	t := time.NewTicker(tick)
	defer t.Stop()
	for n := 0; ; {
		select {
		case <-stop:
			return nil
		case <-t.C:
		}
		for range floodRate / int(time.Second/tick) {
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
