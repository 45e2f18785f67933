// Package compose has no code: its test starts docker-compose.yml, lets the
// operator make a group and enrol a switch and three lamps, lets the switch ask
// all lamps by multicast, checks the three verified answers, revokes a lamp,
// asks again, and takes everything down. Another does likewise with
// docker-compose.apart.yml, where Authorization Server and Group Manager are
// containers of their own.
//
// It runs where the environment variable COHORT_COMPOSE is 1 and a Docker
// engine with Compose answers:
//
//	COHORT_COMPOSE=1 go test -count=1 ./integration/compose
//
// No image is pulled: the one that is built holds two static binaries and
// nothing else. Traffic stays on a bridge network that is made for the test.
package compose
