package coap_test

import (
	"context"
	"testing"
	"time"
)

// waitConfirmed waits until every member of a group has confirmed its version.
func waitConfirmed(t *testing.T, s *site, group string) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		p, err := s.manager.Pending(context.Background(), group)
		if err != nil {
			t.Fatal(err)
		}
		if len(p) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still pending: %+v", p)
		}
	}
}
