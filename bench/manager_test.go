package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the process of the devices, too.
func TestMain(m *testing.M) {
	if ran, code := benchDevices(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}
