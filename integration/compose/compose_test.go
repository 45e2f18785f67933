package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cohort-iot/cohort/integration/binaries"
)

// stack is a running docker-compose.yml under a name of its own.
type stack struct {
	t       *testing.T
	compose []string // docker-compose, or docker compose
	env     []string
	ids     map[string]string // of the containers, by service
	net     string            // first three numbers of the network's addresses
}

// find returns the command of Compose, or why there is none.
func find() ([]string, error) {
	if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("no Docker engine answers: %v: %.80s", err, bytes.TrimSpace(out))
	}
	for _, c := range [][]string{{"docker-compose"}, {"docker", "compose"}} {
		if exec.Command(c[0], append(c[1:], "version")...).Run() == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("Compose is not installed")
}

// image is what all containers of the tests run, made once.
var image = sync.OnceValues(func() (string, error) {
	root, err := binaries.Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "cohort-image")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"Dockerfile", ".dockerignore"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "dist", "state"), 0o700); err != nil {
		return "", err
	}
	if err := binaries.BuildIn(filepath.Join(dir, "dist")); err != nil {
		return "", err
	}
	name := fmt.Sprintf("cohort-test-%d", os.Getpid())
	cmd := exec.Command("docker", "build", "-q", "-t", name, dir)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the image: %w: %s", err, out)
	}
	return name, nil
})

// TestMain removes the image in the end.
func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("COHORT_COMPOSE") == "1" {
		if out, err := exec.Command("docker", "rmi", fmt.Sprintf("cohort-test-%d", os.Getpid())).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "remove the image: %v: %s\n", err, out)
		}
	}
	os.Exit(code)
}

// start makes ready what file says to start, under names that no other project
// uses; net tells the networks of tests apart.
func start(t *testing.T, compose []string, file string, net int) *stack {
	t.Helper()
	root, err := binaries.Root()
	if err != nil {
		t.Fatal(err)
	}
	image, err := image()
	if err != nil {
		t.Fatal(err)
	}
	network := fmt.Sprintf("172.%d.%d", net, os.Getpid()%250+1)
	s := &stack{t: t, ids: map[string]string{}, net: network, compose: append(compose, "-p", fmt.Sprintf("%s-%d", image, net), "-f", filepath.Join(root, file)),
		env: append(os.Environ(), "COHORT_IMAGE="+image, "COHORT_NET="+network)}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := s.try(time.Minute, "logs", "--no-color")
			t.Logf("containers wrote:\n%s", out)
		}
		if out, err := s.try(2*time.Minute, "down", "--volumes", "--remove-orphans", "--timeout", "10"); err != nil {
			t.Errorf("take down: %v: %s", err, out)
		}
	})
	return s
}

// try runs a verb of Compose and returns its standard output.
func (s *stack) try(limit time.Duration, args ...string) (string, error) {
	return s.command(limit, append(s.compose[:len(s.compose):len(s.compose)], args...)...)
}

func (s *stack) command(limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = s.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// container is the id of a service's container.
func (s *stack) container(service string) string {
	s.t.Helper()
	if s.ids[service] == "" {
		s.ids[service] = strings.TrimSpace(s.run("ps", "-q", service))
	}
	return s.ids[service]
}

func (s *stack) run(args ...string) string {
	s.t.Helper()
	out, err := s.try(2*time.Minute, args...)
	if err != nil {
		s.t.Fatalf("%s: %v%s", strings.Join(args, " "), err, out)
	}
	return out
}

// operator runs a verb of the groupmanager command beside the Group Manager.
func (s *stack) operator(args ...string) string {
	s.t.Helper()
	return s.beside("groupmanager", args...)
}

// beside runs a verb of the groupmanager command in the container of a service.
func (s *stack) beside(service string, args ...string) string {
	s.t.Helper()
	out, err := s.command(2*time.Minute, append([]string{"docker", "exec", s.container(service), "/groupmanager"}, args...)...)
	if err != nil {
		s.t.Fatalf("%s: %s: %v%s", service, strings.Join(args, " "), err, out)
	}
	return out
}

func (s *stack) healthy(service string) {
	s.t.Helper()
	id := s.container(service)
	s.await(service+" is healthy", func() bool {
		_, err := s.command(time.Minute, "docker", "exec", id, "/groupmanager", "healthcheck")
		return err == nil
	})
}

// serving waits until so many lamps serve.
func (s *stack) serving(lamps ...string) {
	s.t.Helper()
	s.await("the lamps serve", func() bool {
		out, err := s.try(time.Minute, append([]string{"logs", "--no-color"}, lamps...)...)
		return err == nil && strings.Count(out, "serves on") >= len(lamps)
	})
}

// await asks until ok says yes.
func (s *stack) await(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(300 * time.Millisecond) {
		if ok() {
			return
		}
	}
	s.t.Fatalf("not within a minute: %s", what)
}

// members counts the members of the group, and those that hold its newest keys.
func (s *stack) members() (all, confirmed int) {
	var list []struct{ Confirmed bool }
	if err := json.Unmarshal([]byte(s.operator("member", "list", "lights", "-o", "json")), &list); err != nil {
		s.t.Fatal(err)
	}
	for _, m := range list {
		if m.Confirmed {
			confirmed++
		}
	}
	return len(list), confirmed
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

// ask lets the switch ask all lamps and returns the verified answers by device.
func (s *stack) ask(expect int) map[string]answer {
	s.t.Helper()
	out := s.run("run", "--rm", "-T", "switch", "get", "-e", "/enrolments/switch.json", "--state", "/state/switch", "/light", "-g", "lights",
		"--expect", fmt.Sprint(expect), "--wait", "10s", "-o", "json")
	var got struct{ Answers []answer }
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	answers := map[string]answer{}
	for _, a := range got.Answers {
		answers[a.From.Name] = a
	}
	return answers
}

// wanted returns the command of Compose, and skips the test where it is not to run.
func wanted(t *testing.T) []string {
	t.Helper()
	if os.Getenv("COHORT_COMPOSE") != "1" {
		t.Skip("COHORT_COMPOSE is not 1")
	}
	compose, err := find()
	if err != nil {
		t.Skip(err)
	}
	return compose
}

func TestSwitchAndThreeLamps(t *testing.T) {
	t.Parallel()
	s := start(t, wanted(t), "docker-compose.yml", 30)
	s.run("up", "-d", "groupmanager")
	s.healthy("groupmanager")
	s.operator("group", "create", "lights")
	for device, roles := range map[string]string{"switch": "requester", "lamp1": "responder", "lamp2": "responder", "lamp3": "responder"} {
		s.operator("device", "enroll", device, "--group", "lights:"+roles, "--file", "/enrolments/"+device+".json")
	}
	s.run("up", "-d")
	s.await("four members", func() bool { n, _ := s.members(); return n == 4 })
	s.serving("lamp1", "lamp2", "lamp3")

	answers := s.ask(3)
	if len(answers) != 3 {
		t.Errorf("answers %+v", answers)
	}
	for _, lamp := range []string{"lamp1", "lamp2", "lamp3"} {
		if a := answers[lamp]; a.Mode != "group" || a.Code != "2.05" {
			t.Errorf("%s answered %+v", lamp, a)
		}
	}

	s.operator("device", "revoke", "lamp3")
	s.await("three members", func() bool { n, _ := s.members(); return n == 3 })
	s.await("both lamps hold the newest keys", func() bool { _, n := s.members(); return n >= 2 })
	answers = s.ask(2)
	if _, there := answers["lamp3"]; there || len(answers) != 2 {
		t.Errorf("answers after the revocation: %+v", answers)
	}
	for lamp, a := range answers {
		if a.Version == 0 {
			t.Errorf("%s answered under version %d", lamp, a.Version)
		}
	}
}
