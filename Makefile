# Two commands do everything: `make run` and `make test`.

# Build results may live outside the clone, so that a second clone builds faster.
CACHE := $(or $(WATCHKEEPER_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/watchkeeper)
ifneq ($(wildcard $(CACHE)/target),)
export CARGO_TARGET_DIR ?= $(CACHE)/target
endif
export CARGO_TARGET_DIR ?= $(CURDIR)/target

BIN := $(CARGO_TARGET_DIR)/quick/watchkeeper
ARGS ?=

.PHONY: run build ui test tools lint generate bench clean help

run: build ## build, then watch RPC_URL, a node on loopback, or the built-in demo chain
	$(BIN) run $(ARGS)

build: ui
	cargo build --locked --profile quick --package watchkeeper
	@mkdir -p target/quick && test $(BIN) -ef target/quick/watchkeeper || ln -sf $(BIN) target/quick/watchkeeper

ui: ui/node_modules/.package-lock.json ## build the web interface, unless it is there already
	@node ui/build.mjs

ui/node_modules/.package-lock.json: ui/package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed to build the web interface: install Node.js 20 or newer" >&2; exit 1; }
	cd ui && npm ci --no-audit --no-fund --silent
	@touch $@

test: tools ui ## install what the tests need, then run all of them
	cargo nextest run --locked --cargo-profile quick --workspace

tools: ## install what the tests need and is missing
	@command -v cargo-nextest >/dev/null || cargo install cargo-nextest --locked
	@command -v npm >/dev/null || { echo "npm is needed for the tests' local chain: install Node.js 20 or newer" >&2; exit 1; }
	@test -x "$${CHROMIUM:-/usr/bin/chromium}" || { apt-get update -qq && apt-get install -y -qq chromium fonts-noto-cjk >/dev/null; } || echo "without chromium the web interface is not tested in a browser" >&2
	@command -v prometheus >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends prometheus >/dev/null; } || echo "without prometheus the Prometheus API is not compared with the real one" >&2
	@test -x node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil || npm ci --no-audit --no-fund --silent

lint: ## formatting, clippy, tidy
	cargo fmt --all --check
	cargo clippy --locked --profile quick --workspace --all-targets -- --deny warnings
	cargo xtask tidy

generate: ## write schemas/ and docs/reference/ from the code
	cargo xtask generate

bench: ## latency of live watching, and speed of backfill, beside a real node
	cargo bench --locked --profile quick --package watchkeeper --bench live -- 10
	cargo bench --locked --profile quick --package watchkeeper --bench backfill -- 1000

clean: ## remove build results of this clone
	rm -rf target node_modules ui/node_modules ui/dist/www ui/dist/stamp

help:
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12
