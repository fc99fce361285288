# `make` alone lists the targets.

GO       ?= go
FUZZTIME ?= 60s
# Extra flags of `make test` and `make race`, e.g. TESTFLAGS=-count=1.
TESTFLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help build run demo test race fuzz bench cover generate check check-format check-modules check-architecture lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

build: ## the programs, into ./bin
	$(GO) build -o bin/ ./cmd/...

run: build ## the daemon with a simulated packet core, one verification shown; stays until Ctrl-C
	@./bin/simbindd demo --stay

demo: build ## the same, and ends by itself
	@./bin/simbindd demo

test: ## all tests; needs no root, no clang and no network beyond Go modules
	$(GO) test -timeout 15m $(TESTFLAGS) ./...

race: ## all tests under the race detector (needs a C compiler)
	$(GO) test -race -timeout 30m $(TESTFLAGS) ./...

fuzz: ## every fuzz target for FUZZTIME each (default 60s; 1000x is a count)
	GO="$(GO)" FUZZTIME="$(FUZZTIME)" ./.ci/fuzz

bench: ## the figures of docs/performance.md, each beside its peer (BENCH_SESSIONS=1000000, BENCHFLAGS="-only NAME,NAME -o json")
	$(GO) run ./cmd/bench -sessions $(or $(BENCH_SESSIONS),1000000) $(BENCHFLAGS)

cover: ## test coverage, into ./bin/cover.html
	@mkdir -p bin
	$(GO) test -coverprofile=bin/cover.out ./...
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func=bin/cover.out | tail -n 1

generate: ## run every go:generate line
	$(GO) generate ./...

check: check-format lint check-modules check-architecture ## what CI asks before the tests: format, lint, go.mod, architecture

check-format:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
		echo "not formatted; run: gofmt -w" $$unformatted >&2; exit 1; fi

check-modules:
	$(GO) mod verify
	$(GO) mod tidy -diff

check-architecture:
	$(GO) test -count=1 .

lint: ## go vet and staticcheck
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
