// Package ratelimit bounds how often something is done for anybody who asks, and how often that is told.
//
// A [Limiter] keeps a token bucket for each key, such as the network an address is in ([Source]), and one for all together. It
// remembers a bounded number of keys and needs no goroutine. A [Sampler] lets the first of a kind through in each interval, and
// counts the others.
package ratelimit
