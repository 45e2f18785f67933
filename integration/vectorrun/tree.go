package vectorrun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/cohort-iot/cohort/integration/vectorfile"
)

// maxFile is the largest file looked into, in bytes; the largest collection
// known has 90 kB.
const maxFile = 64 << 20

// RunTrees runs every vector below the given files and directories and gives
// the results to report, in the order of the paths. Content decides what is a
// vector, never a name; anything else is passed over.
func RunTrees(roots []string, report func(Result)) error {
	var paths []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() <= maxFile {
				paths = append(paths, path)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	results := make([]chan []Result, len(paths))
	work := make(chan int)
	var wg sync.WaitGroup
	for i := range results {
		results[i] = make(chan []Result, 1)
	}
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range work {
				results[i] <- RunFile(paths[i])
			}
		}()
	}
	go func() {
		for i := range paths {
			work <- i
		}
		close(work)
	}()
	for i := range results {
		for _, r := range <-results[i] {
			report(r)
		}
	}
	wg.Wait()
	return nil
}

// RunFile runs what one file holds; nothing if it is no vector.
func RunFile(path string) []Result {
	b, err := os.ReadFile(path)
	if err != nil {
		return []Result{{Failed, path, err.Error()}}
	}
	out, err := Run(b)
	if err != nil {
		return []Result{{Failed, path, err.Error()}}
	}
	for i := range out {
		if out[i].Outcome != Passed {
			out[i].Name = fmt.Sprintf("%s: %s", path, out[i].Name)
		}
	}
	return out
}

// Run runs what the content of one file holds; nothing if it is no vector. An
// error says that it looks like one and is broken.
func Run(b []byte) ([]Result, error) {
	f, err := vectorfile.Parse(b)
	if errors.Is(err, vectorfile.ErrNotVector) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Result
	for _, x := range f.Exchanges {
		out = append(out, RunExchange(x, Thorough)...)
	}
	for _, c := range f.Cases {
		out = append(out, RunCase(c))
	}
	return out, nil
}
