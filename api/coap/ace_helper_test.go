package coap_test

import (
	"github.com/cohort-iot/cohort/internal/clock"
	"github.com/cohort-iot/cohort/internal/ratelimit"
)

func systemClock() clock.Clock { return clock.System() }

// postLimits allows a source so many posts, and then one an hour.
func postLimits(burst int) *ratelimit.Limits {
	return &ratelimit.Limits{PerKey: ratelimit.Rate{PerSecond: 1.0 / 3600, Burst: burst}}
}
