// Package keystoretest holds the behaviour that every backend of a keystore must show, and that a store must show over every backend. A
// backend's test is one call of Run.
package keystoretest
