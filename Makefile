# Every command of this repository, the same on a laptop and in CI. `make help` lists them.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# CI throws its checkout away: what was built is kept beside the registries' caches instead.
ifeq ($(CI),true)
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roomcast/target
LOCKED := --locked
else
CARGO_TARGET_DIR ?= $(CURDIR)/target
endif
export CARGO_TARGET_DIR

ROOMCAST := $(CARGO_TARGET_DIR)/debug/roomcast
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

# `make fleet`: nodes of the store (1 or 3), where clients come in, and how roomcast is built (dev, release, dist).
NODES ?= 1
PORT ?= 8080
PROFILE ?= dev
CLUSTER := $(CARGO_TARGET_DIR)/debug/cluster
FLEET_DIR ?= roomcast-fleet

# The benchmark programs of server/benches, by name.
BENCHES ?= gateway

say = @printf '\n== %s\n' '$(1)'

##@ Use it

.PHONY: run
run: needs-rust ## build Roomcast and serve it on http://127.0.0.1:8080 (options: make run ARGS="--listen 127.0.0.1:8081")
	@if test -x '$(ROOMCAST)'; then echo 'roomcast: building what changed'; \
	else echo 'roomcast: building for the first time, which takes a few minutes; the next start takes a second'; fi
	@cargo build $(LOCKED) --package roomcast
	@echo 'roomcast: starting; stop it with Ctrl-C'
	@exec '$(ROOMCAST)' $(ARGS)

.PHONY: fleet
fleet: servers ## a whole fleet in the background, on http://127.0.0.1:8080 (options: NODES=3 PORT=8081 PROFILE=dist)
	@cargo build $(LOCKED) --package roomcast --profile '$(PROFILE)'
	@'$(CLUSTER)' start --directory '$(FLEET_DIR)' --nodes '$(NODES)' --port '$(PORT)' \
		--program '$(CARGO_TARGET_DIR)/$(PROFILE:dev=debug)/roomcast' -- $(ARGS)

.PHONY: fleet-status
fleet-status: cluster-program ## what of the fleet runs where
	@'$(CLUSTER)' status --directory '$(FLEET_DIR)'

.PHONY: fleet-stop
fleet-stop: cluster-program ## end the fleet; its data stays in ./roomcast-fleet
	@'$(CLUSTER)' stop --directory '$(FLEET_DIR)'

.PHONY: fleet-clean
fleet-clean: cluster-program ## end the fleet and remove its data
	@'$(CLUSTER)' clean --directory '$(FLEET_DIR)'

.PHONY: servers
servers: cluster-program ## install the servers a fleet and its tests stand on: nats-server, Redis, Cassandra, HAProxy
	@'$(CLUSTER)' servers

.PHONY: cluster-program
cluster-program: needs-rust
	@cargo build $(LOCKED) --quiet --package roomcast-test-cluster

.PHONY: build
build: needs-rust
	$(call say,build)
	cargo build $(LOCKED) --package roomcast

##@ Check it

.PHONY: test
test: lint deny test-rust test-fleet test-web test-browser ## everything CI checks, in CI's order
	$(call say,every check passed)

.PHONY: lint
lint: fmt-check tidy commit-subjects clippy ## format, house rules, clippy: no test is run

.PHONY: fmt-check
fmt-check: needs-rust
	$(call say,format)
	cargo fmt --all --check

.PHONY: tidy
tidy: needs-rust ## the rules of STYLE.md that a program can check
	$(call say,house rules)
	cargo $(LOCKED) xtask tidy

# The commit before the rule; a checkout without it (a shallow clone, an archive) has nothing to check.
SUBJECTS_SINCE := c764dfee03eb79e53a19b51184cf1def04bd5518

.PHONY: commit-subjects
commit-subjects: ## no commit subject over 72 characters
	$(call say,commit subjects)
	@if git cat-file -e '$(SUBJECTS_SINCE)^{commit}' 2>/dev/null; then \
		git log --format=%s '$(SUBJECTS_SINCE)..HEAD' \
		| awk 'length > 72 { print "over 72 characters: " $$0; bad = 1 } END { exit bad }'; \
	else echo 'NOT CHECKED: this checkout has no history'; fi

.PHONY: clippy
clippy: needs-rust
	$(call say,clippy)
	cargo clippy $(LOCKED) --workspace --all-targets -- --deny warnings

.PHONY: deny
deny: ## licences, refused crates and sources, if cargo-deny is installed
	$(call say,dependencies)
	@if command -v cargo-deny >/dev/null; then cargo-deny --workspace check --hide-inclusion-graph licenses bans sources; \
	else echo 'NOT CHECKED: cargo-deny is not on the PATH (cargo install --locked cargo-deny)'; fi

.PHONY: test-rust
test-rust: servers ## all Rust tests; the servers they need are started by them
	$(call say,Rust tests)
	cargo test $(LOCKED) --workspace --no-fail-fast

.PHONY: test-fleet
test-fleet: servers build ## the black-box tests, unchanged, through the edge of a fleet
	$(call say,black-box tests against a fleet)
	'$(CLUSTER)' exec --program '$(ROOMCAST)' -- cargo test $(LOCKED) --package roomcast --test wire

.PHONY: test-web
test-web: web/node_modules/.package-lock.json ## types and tests of the page
	$(call say,web tests)
	cd web && npm run check
	cd web && npm test

.PHONY: test-browser
test-browser: build chromium web/node_modules/.package-lock.json ## two people talk, in a real browser
	$(call say,browser test)
	ROOMCAST_BIN='$(ROOMCAST)' CHROMIUM='$(CHROMIUM)' node web/e2e/two-users.mjs

.PHONY: bench
bench: needs-rust ## the measurements of docs/, built as we ship
	@test -n '$(BENCHES)' || { echo 'bench: no program is listed in BENCHES'; exit 1; }
	cargo bench $(LOCKED) --profile dist --package roomcast $(BENCHES:%=--bench %)
	cargo bench $(LOCKED) --profile dist --package roomcast-embedded --bench append

.PHONY: loadtest
loadtest: needs-rust ## load a fleet and check its promises: make loadtest ARGS="--url ws://127.0.0.1:8080 --accounts --connections 100" (ARGS=--help lists all)
	@cargo run $(LOCKED) --release --quiet --package roomcast-loadtest -- $(ARGS)

##@ Work on it

.PHONY: fmt
fmt: needs-rust ## format the Rust code
	cargo fmt --all

.PHONY: clean
clean: ## remove what was built; ./roomcast-data and ./roomcast-fleet stay
	cargo clean
	rm -rf web/node_modules

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# What the steps stand on: each names what is missing, and the command that brings it.

.PHONY: needs-rust
needs-rust:
	@command -v cargo >/dev/null || { echo 'Rust is missing (1.90 or newer): see https://rustup.rs'; exit 1; }
	@command -v cc >/dev/null || { echo 'a C compiler is missing (cc): on Debian, apt-get install gcc libc6-dev'; exit 1; }

.PHONY: needs-node
needs-node:
	@command -v npm >/dev/null || { echo 'Node is missing (20.11 or newer, with npm): see https://nodejs.org'; exit 1; }

# npm writes this file last; it is older than our lock file when that one has changed.
web/node_modules/.package-lock.json: web/package-lock.json | needs-node
	$(call say,web packages)
	cd web && npm ci --no-audit --no-fund
	@touch $@

.PHONY: chromium
chromium:
	@test -z '$(CHROMIUM)' || exit 0; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium; \
	else \
		echo 'Chromium is missing: apt-get install chromium, or make test-browser CHROMIUM=/path/to/it'; exit 1; \
	fi
