package anchorfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cohort-iot/cohort/keystore"
	"github.com/cohort-iot/cohort/keystore/internal/disk"
	"github.com/cohort-iot/cohort/keystore/internal/guard"
	"github.com/cohort-iot/cohort/keystore/seal"
)

// File is a keystore.Anchor in a file, replaced as a whole at each write.
type File struct {
	dir  disk.Dir
	name string
}

var _ keystore.Anchor = (*File)(nil)

// Open prepares the anchor in the file; it is made at the first write. dataDir is the directory of the store, which must
// exist: an anchor inside it is refused, as are open permissions (keystore.ErrInsecure).
func Open(path, dataDir string) (*File, error) {
	if err := guard.Dir(path); err != nil {
		return nil, err
	}
	if err := seal.CheckPlace(path, dataDir); err != nil {
		return nil, fmt.Errorf("anchor: %w", err)
	}
	if _, err := guard.File(path); err != nil {
		return nil, err
	}
	return &File{disk.Dir(filepath.Dir(path)), filepath.Base(path)}, nil
}

// Load implements keystore.Anchor.
func (f *File) Load() ([]byte, error) {
	b, err := f.dir.Read(f.name, keystore.MaxAnchor)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Store implements keystore.Anchor.
func (f *File) Store(b []byte) error { return disk.Replace(f.dir, f.name, b) }
