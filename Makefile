# The front door. `make run` and `make test` work on a fresh clone; everything else is a part of them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Outside the checkout, so that a second clone builds nothing twice.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tandem/target
export TANDEM_BIN ?= $(CARGO_TARGET_DIR)/debug/tandem

# Where .ci/packages puts what the system lacks.
export PATH := $(HOME)/.cache/tandem/node/node_modules/.bin:$(PATH):$(HOME)/.cargo/bin

# What `make run` builds: dev is there in minutes, PROFILE=release takes three times as long and answers faster.
PROFILE ?= dev

WEB := gateway/web
WEB_SOURCES := $(shell find $(WEB)/src $(WEB)/public -type f 2>/dev/null) $(wildcard $(WEB)/*.json $(WEB)/*.ts $(WEB)/index.html)
CARGO := cargo --locked

# Cargo does not notice that a second clone lies elsewhere: without this, paths baked into test binaries would be the first clone's.
CHECKOUT_STAMP := $(CARGO_TARGET_DIR)/checkout
$(shell mkdir -p $(CARGO_TARGET_DIR); [ "$$(cat $(CHECKOUT_STAMP) 2>/dev/null)" = "$(CURDIR)" ] || \
  { git ls-files -z '*.rs' | xargs -0 touch; echo "$(CURDIR)" > $(CHECKOUT_STAMP); })

.PHONY: help run test check gen db doctor clean packages test-packages web sdks binaries rust-test web-test browser-test sdk-test litellm-test e2e e2e-separate drills bench bench-gateway local-model

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: packages web ## Build Tandem and serve it at http://127.0.0.1:7080
	$(CARGO) build --workspace --profile $(PROFILE) --bin tandem
	exec $(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/tandem serve

test: test-packages check web-test rust-test e2e-separate browser-test ## Everything that must be true: checks, unit, service, browser and system tests

check: test-packages web ## Formatting, lints, licences, generated files, contracts
	cargo fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cargo deny --log-level error check licenses bans sources
	.ci/contracts
	services/storage/prepare.sh --check
	cd $(WEB) && npm run --silent lint && npm run --silent typecheck

# System tests drive the binary, which no test target builds by itself.
binaries: web
	$(CARGO) build --workspace --bins

rust-test: test-packages sdks binaries
	$(CARGO) nextest run --workspace

sdk-test: test-packages sdks binaries ## The official SDKs of OpenAI and Anthropic, for Node.js and Python, against Tandem's endpoints for them
	$(CARGO) nextest run --workspace -E 'package(tandem-e2e) & binary(sdk)'

litellm-test: test-packages binaries ## LiteLLM's proxy as a vendor of both dialects; installs it (over a minute, 750 MB), so not part of `make test`
	.ci/litellm
	$(CARGO) nextest run --workspace --run-ignored only -E 'package(tandem-e2e) & binary(litellm)'

e2e: test-packages sdks binaries ## The whole system, all services in one process
	$(CARGO) nextest run --workspace -E 'package(tandem-e2e)'

# The drills choose their processes themselves, and what one service does alone (protocols, security of its edge) is the same in both.
e2e-separate: test-packages binaries ## The same system tests with every service a process of its own
	TANDEM_E2E_MODE=separate $(CARGO) nextest run --workspace \
	  -E 'package(tandem-e2e) & binary(it) - test(/^(clocks|crowds|drills|safeties|storms|every_call|relay|anthropic|google|responses|bedrock|structured|vendors|provider_drills|provider_security|poison|providers)::/)'

drills: test-packages binaries ## The fault drills, TANDEM_DRILL_ROUNDS rounds of each (default 10), a line of JSON for each; DRILLS="D17 D52" for some
	@.ci/drills $(DRILLS)

bench: packages web ## Measure the release binary and compare with the budgets; BENCH="--only latency" for a part, --help for all
	$(CARGO) build --release --workspace --bin tandem --bin bench
	TANDEM_BIN=$(CARGO_TARGET_DIR)/release/tandem $(CARGO_TARGET_DIR)/release/bench $(BENCH)

bench-gateway: packages web ## Measure the endpoints for OpenAI and Anthropic SDKs beside other gateways; BENCH="--peers --write" with all others, rewriting docs/performance.md
	$(if $(findstring --peers,$(BENCH)),.ci/peers)
	$(CARGO) build --release --workspace --bin tandem --bin bench-gateway
	TANDEM_BIN=$(CARGO_TARGET_DIR)/release/tandem $(CARGO_TARGET_DIR)/release/bench-gateway $(BENCH)

web-test: $(WEB)/node_modules/.package-lock.json
	cd $(WEB) && npm test --silent

browser-test: test-packages binaries ## A newcomer's path in a real browser, against the binary
	cd $(WEB) && npm run --silent browser-real

gen: test-packages ## Rewrite everything generated: bindings, query metadata, OpenAPI, TypeScript types, tables
	TANDEM_GEN=1 $(CARGO) nextest run --workspace -E 'test(committed_)'
	services/storage/prepare.sh
	if grep -q '"gen"' $(WEB)/package.json; then cd $(WEB) && npm run --silent gen; fi

local-model: ## Serve a small real model (SmolLM2) on this machine and register it: TANDEM_TOKEN=… make local-model
	@.ci/local-model

db: packages ## Start the development database and print how to reach it
	$(CARGO) run --workspace --bin tandem -- database

doctor: packages ## Say what this machine offers Tandem, and what to do about what it lacks
	$(CARGO) run --workspace --bin tandem -- doctor

packages:
	@.ci/packages run

test-packages:
	@.ci/packages test

sdks: test-packages
	@.ci/sdk

web: $(WEB)/dist/index.html

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@.ci/packages run
	cd $(WEB) && npm ci --no-audit --no-fund
	@touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(WEB_SOURCES)
	cd $(WEB) && npm run --silent build

clean: ## Remove what was built, not what was stored
	rm -rf $(WEB)/dist $(WEB)/node_modules services/e2e/mcp/node_modules services/e2e/sdk/node_modules
	cargo clean
