// Package transcript has no code: its test runs the README's shell transcript
// with the real commands.
package transcript
