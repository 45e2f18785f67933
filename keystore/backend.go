package keystore

// Backend is the lower port: an ordered map of names to bytes with atomic, durable batches. It sees sealed values only.
// Package keystoretest holds the behaviour every backend must show. All methods may be called concurrently.
type Backend interface {
	// View runs fn over one consistent state of everything applied so far.
	View(fn func(r BackendReader) error) error
	// Apply makes the batch durable, all of it or nothing, provided that the record f.Name holds exactly f.Value. An error that
	// wraps ErrNotApplied promises that nothing was changed: ErrFenced when the fence does not hold, ErrDiskFull when
	// space is missing. Any other error means that the outcome is unknown.
	Apply(b Batch, f Fence) error
	// Close releases the backend. It does not make anything durable that was not already. Closing again does nothing.
	Close() error
}

// BackendReader reads one state. The slices it hands out must not be changed and are valid until the function passed to View returns.
type BackendReader interface {
	// Get returns the value, or ErrNotFound.
	Get(n Name) ([]byte, error)
	// Scan calls fn for each record whose name begins with prefix and is greater than after, in the order of their bytes.
	// An error of fn ends the scan and is returned as it is.
	Scan(prefix, after Name, fn func(n Name, value []byte) error) error
}

// Batch is what one commit changes, ordered by name, each name at most once.
type Batch []Op

// Op puts a value, or deletes the record when Value is nil. Values are never empty.
type Op struct {
	Name  Name
	Value []byte
}

// Fence is the condition of a batch: the record holds exactly Value, or does not exist when Value is nil. The store uses the record
// that every commit rewrites, so a second writer is found out by its first commit.
type Fence struct {
	Name  Name
	Value []byte
}

// Reader reads records in View and Update.
type Reader interface {
	// Get returns a copy of the value that the caller owns. ErrNotFound when there is none.
	Get(n Name) ([]byte, error)
	// Scan calls fn for each record whose name begins with prefix (a name with fewer numbers, or Key(kind)), in order. The value
	// belongs to fn. ErrStop ends the scan without error, any other error of fn ends it and is returned.
	Scan(prefix Name, fn func(n Name, value []byte) error) error
	// ScanAfter is Scan beginning behind the record named after, for lists shown page by page.
	ScanAfter(prefix, after Name, fn func(n Name, value []byte) error) error
}
