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

# What the image is made of, in dist/, and the image where a Docker engine answers.
image:
	rm -rf dist && mkdir -p -m 0700 dist/state
	CGO_ENABLED=0 go build -trimpath -ldflags=-s -o dist/ ./cmd/groupmanager ./cmd/member
	if docker info >/dev/null 2>&1; then docker build -q -t cohort .; fi

ci:
	bash .ci/run
