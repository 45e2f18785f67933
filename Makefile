# Thin names for the usual commands; .ci/run is what decides.
.PHONY: all test race demo conformance image ci

all:
	go build ./...

test:
	go test ./...

race:
	go test -race ./...

demo:
	go run ./cmd/groupmanager demo

conformance:
	go run ./conformance/report

# The static binaries that the Dockerfile copies.
image:
	mkdir -p dist
	CGO_ENABLED=0 go build -trimpath -ldflags=-s -o dist/groupmanager ./cmd/groupmanager
	CGO_ENABLED=0 go build -trimpath -ldflags=-s -o dist/member ./cmd/member

ci:
	bash .ci/run
