package ace

import (
	"errors"
	"testing"
)

func TestNoSecNamesNoGroup(t *testing.T) {
	t.Parallel()
	t.Run("GC-2.2.1.3-1 NoSec names no group, in any letter case", func(t *testing.T) {
		for _, name := range []string{"NoSec", "nosec", "NOSEC", "nOsEc"} {
			if err := CheckGroupName(name); !errors.Is(err, ErrScope) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, name := range []string{"NoSec2", "no-sec", "hall"} {
			if err := CheckGroupName(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
