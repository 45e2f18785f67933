package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cohort-iot/cohort/keystore/internal/disk"
	"github.com/cohort-iot/cohort/keystore/internal/simdisk"
)

func TestReplace(t *testing.T) {
	t.Run("the new contents are there, nothing else is left", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f.new"), []byte("left by a crash"), 0o444); err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{"one", "two"} {
			if err := disk.Replace(disk.Dir(dir), "f", []byte(s)); err != nil {
				t.Fatal(err)
			}
			if b, err := disk.Dir(dir).Read("f", 3); err != nil || string(b) != s {
				t.Fatalf("%s, %v", b, err)
			}
		}
		if files, _ := os.ReadDir(dir); len(files) != 1 {
			t.Fatal(files)
		}
	})
	t.Run("a file longer than the limit is not read", func(t *testing.T) {
		d := disk.Dir(t.TempDir())
		if err := disk.Replace(d, "f", []byte("four")); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read("f", 3); err == nil {
			t.Fatal("read")
		}
		if _, err := d.Read("g", 3); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	})
	t.Run("a failure before the rename promises the old contents, a later one nothing", func(t *testing.T) {
		for at := 1; at <= 5; at++ {
			d := simdisk.New(0)
			if err := disk.Replace(d, "f", []byte("old")); err != nil {
				t.Fatal(err)
			}
			ops := d.Ops()
			if ops != 5 {
				t.Fatalf("%d operations", ops)
			}
			d.CrashAt(ops + at)
			err := disk.Replace(d, "f", []byte("new"))
			if !errors.Is(err, simdisk.ErrCrashed) || errors.Is(err, disk.ErrUnchanged) != (at <= 3) {
				t.Fatalf("at %d: %v", at, err)
			}
		}
	})
	t.Run("a directory that does not exist is an error that promises the old contents", func(t *testing.T) {
		d := disk.Dir(filepath.Join(t.TempDir(), "none"))
		if err := disk.Replace(d, "f", nil); !errors.Is(err, disk.ErrUnchanged) {
			t.Fatal(err)
		}
	})
}
