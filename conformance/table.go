package conformance

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strings"
)

//go:embed *.tsv
var embedded embed.FS

// ExceptionsFile is the name of the file that lists the rows that do not apply.
const ExceptionsFile = "exceptions.tsv"

// Row is one requirement.
type Row struct {
	ID      string // unique over all tables
	Section string // section of the text, preceded by the document where a table covers several
	Level   string // MUST, SHOULD, MAY, DEF, FACT …
	Text    string // the requirement
}

// Table is one file of requirements.
type Table struct {
	Name string // file name without its extension
	Rows []Row
}

// Tables is the whole work list.
type Tables struct {
	Tables     []Table
	Exceptions map[string]string // row id to the reason why it does not apply
	rows       map[string]Row
	families   map[string]bool // what precedes the first dash of an id
}

// Embedded returns the tables of this module.
func Embedded() (*Tables, error) { return Load(embedded) }

// Load reads every *.tsv file at the top of fsys. Ids must be unique over all
// tables, and every exception must name an existing row and give a reason.
func Load(fsys fs.FS) (*Tables, error) {
	names, err := fs.Glob(fsys, "*.tsv")
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	t := &Tables{Exceptions: map[string]string{}, rows: map[string]Row{}, families: map[string]bool{}}
	for _, name := range names {
		if name == ExceptionsFile {
			continue
		}
		table := Table{Name: strings.TrimSuffix(path.Base(name), ".tsv")}
		err := lines(fsys, name, 4, func(f []string) error {
			r := Row{ID: f[0], Section: f[1], Level: f[2], Text: f[3]}
			if strings.ContainsAny(r.ID, " ,_/#|") || !strings.Contains(r.ID, "-") {
				return fmt.Errorf("id %q cannot stand at the head of a subtest name", r.ID)
			}
			if _, dup := t.rows[r.ID]; dup {
				return fmt.Errorf("id %s is not unique", r.ID)
			}
			t.rows[r.ID] = r
			t.families[family(r.ID)] = true
			table.Rows = append(table.Rows, r)
			return nil
		})
		if err != nil {
			return nil, err
		}
		t.Tables = append(t.Tables, table)
	}
	err = lines(fsys, ExceptionsFile, 2, func(f []string) error {
		if _, ok := t.rows[f[0]]; !ok {
			return fmt.Errorf("no row has the id %q", f[0])
		}
		if _, dup := t.Exceptions[f[0]]; dup {
			return fmt.Errorf("%s is listed twice", f[0])
		}
		t.Exceptions[f[0]] = f[1]
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return t, err
}

// Row returns the row with that id.
func (t *Tables) Row(id string) (Row, bool) {
	r, ok := t.rows[id]
	return r, ok
}

// lines calls f with the fields of each line of name, which must be n and not
// empty. Empty lines and lines that start with # are comments.
func lines(fsys fs.FS, name string, n int, f func(fields []string) error) error {
	file, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	sc := bufio.NewScanner(file)
	for no := 1; sc.Scan(); no++ {
		line := sc.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != n {
			return fmt.Errorf("%s:%d: %d columns where %d are expected", name, no, len(fields), n)
		}
		for _, v := range fields {
			if strings.TrimSpace(v) == "" {
				return fmt.Errorf("%s:%d: an empty column", name, no)
			}
		}
		if err := f(fields); err != nil {
			return fmt.Errorf("%s:%d: %w", name, no, err)
		}
	}
	return sc.Err()
}

// family is what precedes the first dash of an id.
func family(id string) string {
	head, _, _ := strings.Cut(id, "-")
	return head
}
