# The menu. Every target installs what it needs first (scripts/setup), so each works on a fresh checkout.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON := .venv/bin/python
TESTS ?= tests
MINUTES ?= 5

.PHONY: help demo demo-docker test unit lint format docs bench plugin fuzz lock clean

help: ## this text
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## three hosts on this machine, shown live in a minute (as root)
	@scripts/setup demo
	@$(PYTHON) demo/demo.py

demo-docker: ## three hosts with a Docker engine each, shown live in two minutes (as root)
	@scripts/setup docker
	@$(PYTHON) demo/docker_demo.py

# Most of the time of tests that need the kernel is waiting: three processes for two processors.
test: ## every test (as root; otherwise those that need root are skipped)
	@scripts/setup test
	@$(PYTHON) -m pytest -q -n 3 $(TESTS)

unit: ## only the tests that need neither root nor the kernel
	@scripts/setup test
	@$(PYTHON) -m pytest -q -n 2 tests/unit tests/sim

lint: ## ruff, mypy --strict, and whether the shipped eBPF object is what its source gives
	@scripts/setup test
	@scripts/lint

format: ## let ruff lay out the code
	@scripts/setup test
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

docs: ## the documentation site, in site/
	@scripts/setup test
	@scripts/docs

bench: ## measure against plain Linux, and write docs/performance.md (as root, on an idle machine)
	@scripts/setup test
	@$(PYTHON) -m bench

plugin: ## tulle as a plugin that Docker manages, for swarms: a directory for docker plugin create
	@scripts/setup run
	@scripts/plugin build/plugin

fuzz: ## coverage-guided fuzzing of everything that parses network bytes, MINUTES=5
	@scripts/setup test
	@scripts/fuzz $(MINUTES)

lock: ## pin the Python packages anew
	@scripts/setup test
	@scripts/lock

clean: ## remove what was built and installed in this checkout
	@rm -rf .venv site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +
