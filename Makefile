# Everything that is done with this repository. "make" alone builds bin/sluice.
# Needed: Go, git and, for the tests of real AWS clients, Python 3 with pip.

SHELL    := /bin/bash
GO       ?= go
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null)
FUZZTIME ?= 60s
BENCHTIME ?= 1s
# Pinned, so that a new release of it does not fail an old commit.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Packages whose goroutines meet: they are tested once more under the race detector.
RACE := ./audit ./awsapi/... ./cli ./cmd/... ./control ./delivery/... ./demo ./engine ./engine/flow ./eve ./iam ./internal/... \
	./metrics ./node ./onebox ./pktio/... ./store ./supervise

.PHONY: build
build: ## bin/sluice, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/sluice ./cmd/sluice

.PHONY: demo
demo: build ## the demonstration; needs no root
	bin/sluice demo

.PHONY: test
test: venv-if-possible jsdeps ## all tests, then those of concurrent packages under the race detector
	$(GO) test ./...
	@if command -v "$$($(GO) env CC)" >/dev/null; then \
		set -x; $(GO) test -race $(RACE); \
	else \
		echo "skipped: the race detector needs a C compiler ($$($(GO) env CC))"; \
	fi

.PHONY: test-oracle
test-oracle: ## compare the engine with an installed Suricata 7
	SLUICE_ORACLE=1 $(GO) test -count=1 -v ./test/oracle

.PHONY: bench
bench: build ## what a packet, a flush, a capture and calls of the API cost
	$(GO) run ./test/bench
	$(GO) run ./test/rulebench
	$(GO) run ./test/apibench
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) ./...

.PHONY: fuzz
fuzz: ## every fuzz test for FUZZTIME
	GO=$(GO) test/fuzz.sh $(FUZZTIME)

.PHONY: staticcheck
staticcheck: # where make lint takes it from
	@echo $(STATICCHECK)

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# pip is put into the environment from outside, because Debian's Python has none to give.
.PHONY: venv
venv: .venv/complete ## Python's AWS clients, in .venv
.venv/complete: test/requirements.txt
	rm -rf .venv
	python3 -m venv --without-pip .venv
	python3 -m pip --python .venv/bin/python --quiet --disable-pip-version-check install --requirement test/requirements.txt
	@touch $@

.PHONY: venv-if-possible
venv-if-possible:
	@$(MAKE) --no-print-directory venv || { rm -rf .venv; echo "skipped: tests with Python's AWS clients, which could not be installed (see above)"; }

# Operations that model.json has stay as they are there: AWS's clients also remove some.
.PHONY: model
model: venv ## take operations that botocore's model has and ours has not, and generate
	cd awsapi/wire && $(GO) run ./gen -newer $$(echo ../../.venv/lib/python3*/site-packages/botocore/data/network-firewall/2020-11-12) \
		-note "Operations that model.json lacks, from $$(../../.venv/bin/python -c 'import botocore; print("botocore", botocore.__version__)'). No prose."

# Without npm the tests that need them say so.
.PHONY: jsdeps
jsdeps: ## AWS's SDK for JavaScript, in test/lifecycle/js, if there is npm
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory test/lifecycle/js/node_modules/.complete || \
		{ rm -rf test/lifecycle/js/node_modules; echo "skipped: tests with the SDK for JavaScript, which could not be installed (see above)"; }; \
	else \
		echo "skipped: the SDK for JavaScript needs npm"; \
	fi
test/lifecycle/js/node_modules/.complete: test/lifecycle/js/package.json test/lifecycle/js/package-lock.json
	npm ci --prefix test/lifecycle/js --no-audit --no-fund --loglevel error
	@touch $@

.PHONY: clean
clean: ## what make has made
	rm -rf bin .venv test/lifecycle/js/node_modules

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14
