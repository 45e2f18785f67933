package seal

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cohort-iot/cohort/keystore"
)

// CheckPlace refuses a key file inside the data directory, where one copy takes both: keystore.ErrInsecure. The
// directory of the file and the data directory must exist; symbolic links are followed.
func CheckPlace(keyFile, dataDir string) error {
	dir, err := resolve(filepath.Dir(keyFile))
	if err != nil {
		return err
	}
	data, err := resolve(dataDir)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(data, dir)
	if err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	if rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return nil
	}
	return fmt.Errorf("%w: %s is inside the data directory %s, so a copy of the data is a copy of the key; keep it elsewhere", keystore.ErrInsecure, keyFile, dataDir)
}

func resolve(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", fmt.Errorf("keystore: %w", err)
	}
	return abs, nil
}
