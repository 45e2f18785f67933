package crash

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	httpapi "github.com/cohort-iot/cohort/api/http"
)

// process is the groupmanager command, which is started and killed many times
// over one directory.
type process struct {
	binary string
	dir    string // with configuration, key, data
	listen netip.AddrPort
	env    []string
	prefix []string // a command to run it under
	log    *os.File

	operator *httpapi.Client

	mu  sync.Mutex
	cmd *exec.Cmd
}

// freePort finds a UDP port on the loopback address that nobody uses now.
func freePort() (netip.AddrPort, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer c.Close()
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

// newProcess makes the directory; devices are told to use uri. dir must be short,
// as the path of a socket has few bytes.
func newProcess(binary, dir string, listen netip.AddrPort, uri string, env ...string) (*process, error) {
	p := &process{binary: binary, dir: filepath.Join(dir, "gm"), listen: listen, env: append(os.Environ(), env...)}
	out, err := exec.Command(binary, "init", p.dir, "--listen", listen.String(), "--uri", uri).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("init: %w: %s", err, out)
	}
	if p.log, err = os.Create(filepath.Join(dir, "gm.log")); err != nil {
		return nil, err
	}
	p.operator = httpapi.NewClient(filepath.Join(p.dir, "run", "groupmanager.sock"))
	return p, nil
}

// start runs the command and waits until it serves.
func (p *process) start(ctx context.Context) error {
	args := append(append([]string(nil), p.prefix...), p.binary, "run", "-c", filepath.Join(p.dir, "groupmanager.yaml"))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.log, p.log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.mu.Lock()
	p.cmd = cmd
	p.mu.Unlock()
	for {
		if h, err := p.operator.Health(ctx); err == nil && h.Ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the group manager does not get ready: %w", errors.Join(ctx.Err(), p.end(os.Kill)))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill ends the process as nothing can be prepared for, and waits for its end.
// Only the first of several calls does anything.
func (p *process) kill() error { return p.end(os.Kill) }

// stop ends the process as an operator does.
func (p *process) stop() error { return p.end(os.Interrupt) }

func (p *process) end(how os.Signal) error {
	p.mu.Lock()
	cmd := p.cmd
	p.cmd = nil
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	p.operator.Close()
	if err := cmd.Process.Signal(how); err != nil {
		return err
	}
	err := cmd.Wait()
	if how == os.Kill {
		return nil // it was killed; there is no other way to end
	}
	return err
}

func (p *process) tail() string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4000):])
}
