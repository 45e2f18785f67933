package transcript

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/integration/binaries"
)

const marker = "<!-- transcript: integration/transcript runs the next block -->\n```sh\n"

// prelude makes `sleep` wait for the three lamps however slow the machine is,
// and ends what runs in the background whenever the script ends.
const prelude = `set -eu
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
sleep() {
	for i in $(seq 600); do
		[ "$(grep -c 'serves on' output)" -ge 3 ] && return
		command sleep 0.1
	done
	echo 'the lamps do not serve' >&2; return 1
}
`

func block(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), marker)
	if !ok {
		t.Fatal("README.md has no transcript")
	}
	text, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("the transcript has no end")
	}
	return text
}

// multicast says why there is none on the loopback interface, if so.
func multicast() error {
	iface, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	group := netip.MustParseAddrPort("239.255.83.2:0")
	c, err := net.ListenMulticastUDP("udp4", iface, net.UDPAddrFromAddrPort(group))
	if err != nil {
		return err
	}
	return c.Close()
}

func TestReadme(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skipf("the transcript needs bash: %v", err)
	}
	if err := multicast(); err != nil {
		t.Skipf("no multicast on the loopback interface: %v", err)
	}
	bin, dir := binaries.Build(t), t.TempDir()
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bash, "-c", prelude+block(t))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "COHORT_CONFIG="+filepath.Join(dir, "gm", "groupmanager.yaml"))
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	runErr := cmd.Run()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what the script left behind
	text, err := os.ReadFile(output.Name())
	if err != nil {
		t.Fatal(err)
	}
	if runErr != nil {
		t.Fatalf("the transcript failed: %v\n%s", runErr, text)
	}
	for _, want := range []string{
		`(?s)lamp1 .* 2\.05 +off.*lamp2 |lamp2 .* 2\.05 +off`, // the first get
		`2\.04`,                               // the put
		`lamp1 +\S+ +group +2\.05 +on .* 1\n`, // the second get: the lamp is on, under version 1
		`device lamp3 is revoked and was put out of 1 groups`,
		`switch left group lights`,
	} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("the output lacks %s", want)
		}
	}
	if n := len(regexp.MustCompile(`(?m)^lamp\d +\S+ +group +2\.05 `).FindAll(text, -1)); n < 5 {
		t.Errorf("%d signed answers, want 3 and 2", n)
	}
	for _, file := range []string{"switch.json", "lamp1.json"} {
		checkNoSecret(t, filepath.Join(dir, file), text)
	}
	if t.Failed() {
		t.Logf("output:\n%s", text)
	}
}

// checkNoSecret asserts that an enrolment file is private and that its secrets
// were never printed.
func checkNoSecret(t *testing.T, file string, output []byte) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Error(err)
		return
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", file, info.Mode().Perm())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
		return
	}
	for _, m := range regexp.MustCompile(`"(?:secret|salt)": *"([^"]+)"`).FindAllSubmatch(text, -1) {
		if bytes.Contains(output, m[1]) {
			t.Errorf("a secret of %s was printed", file)
		}
	}
}
