package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cohort-iot/cohort/cmd/internal/cli"
	"github.com/cohort-iot/cohort/keystore/seal"
)

// wrapper returns what seals the store with the key at r.
func (r secretRef) wrapper() *seal.Wrapper {
	switch r.kind {
	case "passphrase-file":
		return seal.PassphraseFile(r.name)
	case "credential":
		return seal.KeyCredential(r.name)
	case "passphrase-credential":
		return seal.PassphraseCredential(r.name)
	}
	return seal.KeyFile(r.name)
}

// checkFiles finds what is wrong with the directories and files that a valid
// configuration names: all faults, one to a line.
func (c *config) checkFiles() error {
	var faults []error
	if info, err := os.Stat(c.DataDir); errors.Is(err, fs.ErrNotExist) {
		faults = append(faults, fmt.Errorf("data_dir: %s is not there", c.DataDir))
	} else if err != nil {
		faults = append(faults, fmt.Errorf("data_dir: %w", err))
	} else {
		if !info.IsDir() {
			faults = append(faults, fmt.Errorf("data_dir: %s is no directory", c.DataDir))
		} else if mode := info.Mode().Perm(); mode&0o077 != 0 {
			faults = append(faults, fmt.Errorf("data_dir: %s has mode %04o, make it 0700", c.DataDir, mode))
		}
		if c.SealKey.isFile() {
			if err := seal.CheckPlace(c.SealKey.name, c.DataDir); err != nil {
				faults = append(faults, fmt.Errorf("seal_key: %w", err))
			}
		}
	}
	trial := make([]byte, 32)
	if _, err := c.SealKey.wrapper().Wrap(trial, trial[:16]); err != nil { // reads the key as opening the store does
		faults = append(faults, fmt.Errorf("seal_key: %w", err))
	}
	if len(faults) > 0 {
		hint := "groupmanager init makes a directory with all that is needed"
		if _, err := os.Stat(filepath.Join(c.DataDir, storeName)); err == nil {
			hint = "there is a store: bring back what belongs to it, since nothing else opens it"
		}
		return cli.Fail(cli.ExitUsage, hint, "%w", errors.Join(faults...))
	}
	return nil
}
