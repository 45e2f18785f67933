// Package binaries builds the project's commands for black-box tests.
package binaries

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Commands are the commands of the project.
func Commands() []string { return []string{"groupmanager", "member"} }

// Build puts all commands, statically linked, into a new directory and returns it.
func Build(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := BuildIn(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// BuildIn puts all commands, statically linked, into dir.
func BuildIn(dir string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-ldflags=-s", "-o", dir + string(filepath.Separator)}
	for _, c := range Commands() {
		args = append(args, "./cmd/"+c)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the commands: %w: %s", err, out)
	}
	return nil
}

// Root is the module's directory, found from the directory of a test.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}
