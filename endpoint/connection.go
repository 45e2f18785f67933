package endpoint

// connection is what a socket with a single remote has.
type connection struct{}
