package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cohort-iot/cohort/keystore"
)

// load is what a task of n operations cost, and what limited it.
type load struct {
	n        int
	took     time.Duration
	server   time.Duration // processor time of this process, the Group Manager's
	devices  time.Duration // of the other one
	machine  time.Duration // of all processors: what there was
	idle     time.Duration // of all processors: what nobody used
	syncing  time.Duration // in which a commit was on its way to the disk
	commits  int64
	overflow int64 // datagrams that found the receive buffer of the Group Manager full
}

// each is the Group Manager's processor time for one operation, in µs.
func (l load) each() float64 { return micros(l.server) / float64(l.n) }

func (l load) rate() float64 { return float64(l.n) / l.took.Seconds() }

// limit says what the task spent its time with: on a machine without idle
// processors that is the CPU, whatever else waited.
func (l load) limit() string {
	what := "network and scheduling"
	switch {
	case l.machine > 0 && float64(l.idle) < 0.15*float64(l.machine):
		what = "CPU"
	case float64(l.syncing) > 0.7*float64(l.took):
		what = "fsync"
	case l.overflow > 0:
		what = "receive buffer"
	}
	return "limit: " + what + "; " + l.shares()
}

// shares tells who used the processors, what waited for the disk and what was lost.
func (l load) shares() string {
	var parts []string
	if all := float64(l.machine); all > 0 {
		percent := func(d time.Duration) float64 { return max(0, 100*float64(d)/all) }
		devices := ""
		if l.devices > 0 { // none are measured where there are no sockets
			devices = fmt.Sprintf(" %.0f %% devices,", percent(l.devices))
		}
		parts = append(parts, fmt.Sprintf("CPU %.0f %% server,%s %.0f %% others", percent(l.server), devices, percent(l.machine-l.idle-l.server-l.devices)))
	}
	parts = append(parts, fmt.Sprintf("%d commits under way %.0f %% of the time", l.commits, 100*l.syncing.Seconds()/l.took.Seconds()))
	if l.overflow > 0 {
		parts = append(parts, fmt.Sprintf("%d datagrams lost to a full receive buffer", l.overflow))
	}
	return strings.Join(parts, ", ")
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// timed is a backend that knows how long its commits took.
type timed struct {
	keystore.Backend
	commits, spent atomic.Int64
}

func (t *timed) Apply(b keystore.Batch, f keystore.Fence) error {
	began := time.Now()
	defer func() {
		t.spent.Add(int64(time.Since(began)))
		t.commits.Add(1)
	}()
	return t.Backend.Apply(b, f)
}

// cpuTime is the processor time of this process so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tick is the unit of /proc/stat: USER_HZ is 100 wherever Go runs on Linux.
const tick = 10 * time.Millisecond

// machineTime reads how much time all processors spent, and idle.
func machineTime() (all, idle time.Duration) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, 0
	}
	defer f.Close()
	var name string
	var v [8]int64
	if _, err := fmt.Fscan(f, &name, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]); err != nil {
		return 0, 0
	}
	for _, x := range v {
		all += time.Duration(x) * tick
	}
	return all, time.Duration(v[3]+v[4]) * tick
}

// overflowed reads how many datagrams the kernel dropped because the receive buffer
// of the UDP socket with this port, IPv4, was full.
func overflowed(port uint16) int64 {
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		return 0
	}
	defer f.Close()
	local := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 13 || !strings.HasSuffix(fields[1], local) {
			continue
		}
		var n int64
		if _, err := fmt.Sscan(fields[len(fields)-1], &n); err == nil {
			return n
		}
	}
	return 0
}

// profile writes a CPU profile of one task, if the user wants profiles.
func (m *meter) profile(task string) (stop func() error, err error) {
	if m.profiles == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(filepath.Join(m.profiles, task+".pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// measured runs a task of n operations.
func (g *managed) measured(m *meter, task string, n int, f func() (report, error)) (l load, err error) {
	stop, err := m.profile(task)
	if err != nil {
		return load{}, err
	}
	l = load{n: n, server: -cpuTime(), commits: -g.disk.commits.Load(), syncing: -time.Duration(g.disk.spent.Load()), overflow: -overflowed(g.ep.LocalAddr().Port())}
	all, idle := machineTime()
	r, err := f()
	all2, idle2 := machineTime()
	l.took, l.devices, l.machine, l.idle = r.Took, r.CPU, all2-all, idle2-idle
	l.server += cpuTime()
	l.commits += g.disk.commits.Load()
	l.syncing += time.Duration(g.disk.spent.Load())
	l.overflow += overflowed(g.ep.LocalAddr().Port())
	if serr := stop(); err == nil {
		err = serr
	}
	return l, err
}
