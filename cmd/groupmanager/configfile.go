package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

const maxConfigFile = 1 << 20 // bytes; a configuration is a page

// located is a value and where it was found, as file:line.
type located struct {
	text, where string
}

// readConfigFile reads the values of a configuration file. It returns all
// faults joined: what is no YAML, unknown keys with the nearest known one, keys
// that occur twice, values that are no scalars.
func readConfigFile(path string) (map[string]located, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfigFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxConfigFile)
	}
	return parseConfig(path, text)
}

func parseConfig(path string, text []byte) (map[string]located, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc yaml.Node
	if err := dec.Decode(&doc); err == io.EOF {
		return map[string]located{}, nil // nothing but comments
	} else if err != nil {
		return nil, fmt.Errorf("%s: %s", path, oneLine(err))
	}
	var more yaml.Node
	if err := dec.Decode(&more); err != io.EOF {
		return nil, fmt.Errorf("%s: more than one document", path)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return map[string]located{}, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: expected lines of the form key: value", path, root.Line)
	}
	values := map[string]located{}
	var faults []error
	bad := func(n *yaml.Node, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s:%d: %s", path, n.Line, fmt.Sprintf(format, args...)))
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		where := fmt.Sprintf("%s:%d", path, value.Line)
		switch {
		case !known(key.Value):
			if near := nearest(key.Value); near != "" {
				bad(key, "unknown key %q, did you mean %q?", key.Value, near)
			} else {
				bad(key, "unknown key %q", key.Value)
			}
		case values[key.Value] != (located{}):
			bad(key, "%s occurs twice, first at %s", key.Value, values[key.Value].where)
		case value.Kind != yaml.ScalarNode || value.Anchor != "":
			bad(value, "%s: a single value is expected", key.Value)
		case value.Tag == "!!null":
			bad(value, "%s has no value", key.Value)
		default:
			values[key.Value] = located{value.Value, where}
		}
	}
	return values, errors.Join(faults...)
}

func known(key string) bool {
	for _, s := range settings() {
		if s.key == key {
			return true
		}
	}
	return false
}

// nearest returns the known key that is most like the unknown one, or nothing
// when none is.
func nearest(key string) string {
	best, at := "", 1+len(key)/3
	for _, s := range settings() {
		if d := distance(key, s.key); d <= at {
			best, at = s.key, d-1
		}
	}
	return best
}

// distance is the number of single-character changes between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
}

// exampleConfig is the commented file that `init` writes: every key with its
// default, the given ones set.
func exampleConfig(set map[string]string) string {
	var b strings.Builder
	b.WriteString("# Configuration of groupmanager. A flag (--data-dir) or an environment variable (COHORT_DATA_DIR)\n" +
		"# of the same name overrides a key; what is commented out has the default shown.\n")
	for _, s := range settings() {
		b.WriteString("\n")
		for _, line := range s.doc {
			b.WriteString("# " + line + "\n")
		}
		if v, ok := set[s.key]; ok {
			fmt.Fprintf(&b, "%s: %s\n", s.key, yamlScalar(v))
		} else {
			fmt.Fprintf(&b, "#%s: %s\n", s.key, yamlScalar(s.def))
		}
	}
	return b.String()
}

func yamlScalar(v string) string {
	out, err := yaml.Marshal(v)
	if err != nil { // a string always encodes
		return fmt.Sprintf("%q", v)
	}
	return strings.TrimSpace(string(out))
}
