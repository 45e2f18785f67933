package roles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/integration/binaries"
)

// Addresses of the test, which no other test uses. The group's has a port of its own in each run.
const (
	asAddr = "127.0.87.1"
	gmAddr = "127.0.87.2"
	group  = "239.255.87.1"
)

// patience is how long anything may take that takes some messages.
const patience = 10 * time.Second

// world is where the processes run.
type world struct {
	t    *testing.T
	bin  string
	dir  string
	port uint16 // of the group and the lamps
}

// server is a groupmanager process of one role.
type server struct {
	w    *world
	role string
	dir  string
	cmd  *exec.Cmd
	log  *os.File
}

// multicast says why there is none on the loopback interface, if so.
func multicast() error {
	iface, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	c, err := net.ListenMulticastUDP("udp4", iface, net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(group), 0)))
	if err != nil {
		return err
	}
	return c.Close()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if err := multicast(); err != nil {
		t.Skipf("no multicast on the loopback interface: %v", err)
	}
	dir, err := os.MkdirTemp("", "roles") // short: the path of a socket has few bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &world{t: t, bin: binaries.Build(t), dir: dir, port: freePort(t, group)}
}

// freePort finds a UDP port that nobody uses on the address now.
func freePort(t *testing.T, addr string) uint16 {
	t.Helper()
	if netip.MustParseAddr(addr).IsMulticast() {
		addr = "127.0.0.1"
	}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(addr)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// run runs a command to its end.
func (w *world) run(name string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(w.bin, name), args...)
	cmd.Dir = w.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

func (w *world) must(name string, args ...string) string {
	w.t.Helper()
	out, err := w.run(name, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// until waits for something that takes some messages, and says how long it took.
func (w *world) until(what string, ok func() bool) time.Duration {
	w.t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > patience {
			w.t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(begun)
}

// server makes an installation and starts it.
func (w *world) server(role, addr string) *server {
	w.t.Helper()
	s := &server{w: w, role: role, dir: filepath.Join(w.dir, role)}
	w.must("groupmanager", "init", s.dir, "--listen", netip.AddrPortFrom(netip.MustParseAddr(addr), freePort(w.t, addr)).String())
	var err error
	if s.log, err = os.Create(filepath.Join(w.dir, role+".log")); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		s.end(os.Kill)
		s.log.Close()
		if text, err := os.ReadFile(s.log.Name()); err == nil && w.t.Failed() {
			w.t.Logf("%s wrote:\n%s", role, text)
		}
	})
	s.start()
	return s
}

func (s *server) config() string { return filepath.Join(s.dir, "groupmanager.yaml") }

func (s *server) start() {
	s.w.t.Helper()
	s.cmd = exec.Command(filepath.Join(s.w.bin, "groupmanager"), "run", "--role", s.role, "-c", s.config())
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.w.t.Fatal(err)
	}
	s.must("healthcheck", "--wait", "10s")
}

// end ends the process; a second time it does nothing.
func (s *server) end(how os.Signal) error {
	cmd := s.cmd
	s.cmd = nil
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(how); err != nil {
		return err
	}
	return cmd.Wait()
}

func (s *server) restart() {
	s.w.t.Helper()
	if err := s.end(os.Interrupt); err != nil {
		s.w.t.Fatalf("%s: %v", s.role, err)
	}
	s.start()
}

// must runs a verb of the operator against the process.
func (s *server) must(args ...string) string {
	s.w.t.Helper()
	return s.w.must("groupmanager", append(args, "-c", s.config())...)
}

// query runs a verb and reads the JSON it shows.
func (s *server) query(v any, args ...string) {
	s.w.t.Helper()
	out := s.must(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		s.w.t.Fatalf("%v: %s", err, out)
	}
}

// uri is where devices reach the process.
func (s *server) uri() string {
	s.w.t.Helper()
	text, err := os.ReadFile(s.config())
	if err != nil {
		s.w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if a, ok := strings.CutPrefix(line, "listen: "); ok {
			return "coap://" + strings.TrimSpace(a)
		}
	}
	s.w.t.Fatal("no listen in the configuration")
	return ""
}

// members are the devices in the group, and whether each holds its newest keys.
func (s *server) members() map[string]bool {
	s.w.t.Helper()
	var list []struct {
		Device    string
		Confirmed bool
	}
	s.query(&list, "member", "list", "lights")
	out := map[string]bool{}
	for _, m := range list {
		out[m.Device] = m.Confirmed
	}
	return out
}

// lamp lets an enrolled device serve until the test ends.
func (w *world) lamp(device string, host int) {
	w.t.Helper()
	cmd := exec.Command(filepath.Join(w.bin, "member"), "serve", "-e", device+".json", "-g", "lights", "--roles", "responder",
		"--address", w.groupAddr(), "--listen", fmt.Sprintf("127.0.87.%d:%d", host, w.port), "--interface", "lo")
	cmd.Dir = w.dir
	log, err := os.Create(filepath.Join(w.dir, device+".log"))
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // one that was put out has ended by itself
		_ = cmd.Wait()
		log.Close()
	})
	w.until(device+" serves", func() bool {
		text, err := os.ReadFile(log.Name())
		return err == nil && bytes.Contains(text, []byte("serves on"))
	})
}

// answer is one of those that `member get -o json` shows.
type answer struct {
	From struct {
		Name string `json:"name"`
	} `json:"from"`
	Mode    string `json:"mode"`
	Code    string `json:"code"`
	Version uint64 `json:"key_version"`
}

// ask lets the switch ask all lamps by multicast; whoever answered was verified.
func (w *world) ask(expect int) map[string]answer {
	w.t.Helper()
	out, err := w.run("member", "get", "-e", "switch.json", "/light", "-g", "lights", "--expect", fmt.Sprint(expect), "--wait", "8s", "-o", "json")
	if err != nil {
		w.t.Fatalf("%v%s", err, out)
	}
	var got struct{ Answers []answer }
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	answers := map[string]answer{}
	for _, a := range got.Answers {
		answers[a.From.Name] = a
	}
	return answers
}

// groupAddr is the multicast address of the group.
func (w *world) groupAddr() string { return fmt.Sprintf("%s:%d", group, w.port) }
