# Two commands do everything on a fresh Debian 12 with Rust and Node:
#   make run    builds the product and starts it
#   make test   installs what tests need and runs all of them
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build web dev test test-web test-rust test-e2e lint fmt bench fuzz docs setup-build setup-test clean

WEB_SOURCES := $(shell find frontend -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## Build everything and start `bedrud run`
	exec target/release/bedrud run

build: setup-build web ## Build the web app and the release binary
	cargo build --release --locked --bin bedrud

web: frontend/dist/index.html ## Build the web app

frontend/node_modules/.package-lock.json: frontend/package.json frontend/package-lock.json
	cd frontend && npm ci --no-audit --no-fund
	@touch $@

frontend/dist/index.html: frontend/node_modules/.package-lock.json $(WEB_SOURCES)
	cd frontend && npm run build
	@touch $@

tests/e2e/node_modules/.package-lock.json: tests/e2e/package.json tests/e2e/package-lock.json
	cd tests/e2e && npm ci --no-audit --no-fund
	@touch $@

dev: setup-build frontend/node_modules/.package-lock.json ## API on 8090 and web dev server with reload on 5173
	scripts/dev.sh

test: setup-test ## Formatting, lints, unit, integration, browser and SDK tests
	scripts/test.sh

test-web test-rust test-e2e lint: setup-test ## One group of the tests
	scripts/test.sh $(@:test-%=%)

fmt: frontend/node_modules/.package-lock.json ## Format Rust and web sources
	cargo fmt --all
	cd frontend && npm run fmt

bench: ## Run the benchmarks (see benches/README.md)
	cargo bench --locked -p bedrud-benches

fuzz: ## Run every fuzz target for five minutes each
	media/fuzz/run 300

docs: ## Build the API documentation of all crates
	cargo doc --workspace --no-deps --locked

setup-build:
	@scripts/setup.sh build

setup-test:
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory frontend/node_modules/.package-lock.json tests/e2e/node_modules/.package-lock.json

clean: ## Remove build results (not data)
	rm -rf target frontend/dist frontend/node_modules tests/e2e/node_modules tests/e2e/out .venv .venv-agents
