package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// devices is the other process.
type devices struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	mu  sync.Mutex // of exchanges
	say sync.Mutex // of orders
}

// order is one line to the other process, report one line back.
type order struct {
	Do    string
	Group string
	N     int
}

type report struct {
	Took  time.Duration
	CPU   time.Duration              // processor time of the devices
	Times map[string][]time.Duration // of probes, by what they ask
	Err   string
}

const devicesEnv = "COHORT_BENCH_DEVICES"

func startDevices(g *managed) (*devices, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), devicesEnv+"="+g.ep.LocalAddr().String())
	cmd.Stderr = os.Stderr
	d := &devices{cmd: cmd}
	if d.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewReader(out)
	return d, cmd.Start()
}

func (d *devices) close() error {
	return errors.Join(d.in.Close(), d.cmd.Wait())
}

func (d *devices) tell(o order) error {
	d.say.Lock()
	defer d.say.Unlock()
	return json.NewEncoder(d.in).Encode(o)
}

func (d *devices) do(do, group string, n int) (report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.tell(order{do, group, n}); err != nil {
		return report{}, err
	}
	line, err := d.out.ReadBytes('\n')
	if err != nil {
		return report{}, fmt.Errorf("devices: %s: %w", do, err)
	}
	var r report
	if err := json.Unmarshal(line, &r); err != nil {
		return report{}, err
	}
	if r.Err != "" {
		return report{}, fmt.Errorf("devices: %s: %s", do, r.Err)
	}
	return r, nil
}
