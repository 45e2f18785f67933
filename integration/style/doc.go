// Package style has no code: its tests assert the habits of the code and the
// pages that a compiler does not see.
package style
