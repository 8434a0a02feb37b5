# Every verb of the project; CI says the same words. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV := $(shell command -v uv || echo .tools/bin/uv)
BIN := .venv/bin
LOCKS := requirements/dev.txt requirements/server.txt
JOBS ?= 2

help:  ## list the verbs
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv: requirements/uv.txt
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.ready: pyproject.toml requirements/dev.txt | $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/.ready  ## make .venv with everything pinned

check: .venv/.ready  ## ruff, mypy, import contracts, architecture tests
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/architecture

tools:
	@for each in ssh-keygen:openssh-client chromium:chromium; do \
	  command -v "$${each%:*}" >/dev/null || { apt-get update -qq && apt-get install -qq -y "$${each#*:}"; } \
	    || { echo "the tests need $${each%:*}: install your system's $${each#*:}" >&2; exit 1; }; \
	done

test: check tools  ## check, then every test, on real components
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile --ignore=tests/architecture

up: .venv/.ready  ## run the platform on this machine (Ctrl-C stops it)
	@exec $(BIN)/artcafe up

demo: .venv/.ready  ## a tenant, two agents, fresh keys, and their exchange
	@exec $(BIN)/artcafe demo

docs: .venv/.ready  ## write the generated pages: docs/errors.md, docs/settings.md
	@$(BIN)/python -m artcafe.server.reference docs

lock: | $(UV)  ## pin every dependency with hashes
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/uv.in -o requirements/uv.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml requirements/build.in --extra server --group dev -o requirements/dev.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra server -o requirements/server.txt

.PHONY: help setup check tools test up demo docs lock
