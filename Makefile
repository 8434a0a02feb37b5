# Every target of the project; CI uses the same. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV := $(shell command -v uv || echo .tools/bin/uv)
BIN := .venv/bin
LOCKS := requirements/dev.txt requirements/server.txt
JOBS ?= 3

# Where this is set, every process that starts compiles a thousand modules anew: two seconds.
unexport PYTHONDONTWRITEBYTECODE

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv: requirements/uv.txt
	@echo "setup: uv, which installs the rest (.tools) …"
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	@touch $@

.venv/.synced: pyproject.toml requirements/dev.txt | $(UV)
	@echo "setup: everything pinned in requirements/dev.txt (.venv) …"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@touch $@

# Whatever is compiled, is compiled anew when it changed (packaging/compile.py).
TYPES := $(shell find src -name '*.pxd')

.venv/.ready: .venv/.synced packaging/compile.py $(TYPES) $(TYPES:.pxd=.py)
	@echo "setup: compiling $(words $(TYPES)) modules, the way of a message; about a minute on two cores …"
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

setup: .venv/.ready  ## make .venv with everything pinned

lint: .venv/.ready  ## ruff, mypy, import contracts
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

check: lint  ## lint, architecture tests
	$(BIN)/pytest -q tests/architecture

tests/kit/%/node_modules/.package-lock.json: tests/kit/%/package-lock.json | programs
	@npm ci --prefix $(<D) --silent --no-audit --no-fund --ignore-scripts && touch $@

tools: programs tests/kit/dynamodb/node_modules/.package-lock.json

programs:
	@for each in ssh-keygen:openssh-client chromium:chromium nginx:nginx systemd-analyze:systemd npm:npm strace:strace promtool:prometheus; do \
	  PATH="$$PATH:/usr/sbin" command -v "$${each%:*}" >/dev/null || { apt-get update -qq && apt-get install -qq -y "$${each#*:}"; } \
	    || { echo "the tests need $${each%:*}: install your system's $${each#*:}" >&2; exit 1; }; \
	done

# Two processors have work for more than two processes: many tests wait for the processes that they start.
test: .venv/.ready tools  ## lint, then every test, on real components
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint test-plain
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

# What is compiled works as it is written, too. The copy comes before what is installed.
PLAIN := build/plain
test-plain: .venv/.ready  ## the compiled modules' tests, on their sources
	@rm -rf $(PLAIN) && mkdir -p $(PLAIN) && cp -r src $(PLAIN) && find $(PLAIN) -name '*.so' -delete
	PYTHONPATH=$(PLAIN)/src $(BIN)/pytest -q -n 2 --dist loadfile \
	  $(addprefix tests/server/gateway/,sessions/test_agent_session.py sessions/test_publish_template.py fanout/test_hub_messages.py fanout/test_hub_copies.py fanout/test_delivery_queue.py fanout/test_acknowledgements.py fanout/test_topics.py fanout/test_subscriber.py dialects/test_rendering.py dialects/test_dialect.py dialects/test_native.py dialects/test_legacy.py websocket/test_turn_scheduler.py websocket/test_writer.py sessions/test_turn_clock.py websocket/test_websocket.py websocket/test_frame_parser.py) \
	  tests/server/bus/nats/test_link.py tests/server/bus/nats/test_publish_route.py tests/server/bus/nats/test_window.py tests/server/core/test_usage.py tests/server/domain/test_quota.py tests/server/domain/test_recent.py

# Half of the time for each: two tests share the first, nine have a ninth of the second.
fuzz: .venv/.ready  ## fuzz frames, streams and raw HTTP for five minutes; SECONDS= FUZZ_SEED=
	FUZZ_SECONDS=$$(( $(or $(SECONDS),300) / 2 )) $(BIN)/pytest -q tests/e2e/test_wire_fuzz.py
	FUZZ_SECONDS=$$(( $(or $(SECONDS),300) / 18 )) $(BIN)/pytest -q tests/fuzz

hammer: .venv/.ready tools  ## random requests and faults at once over every store, for a minute; SECONDS= SEED=
	HAMMER_SECONDS=$(or $(SECONDS),60) HAMMER_SEED=$(SEED) $(BIN)/pytest -q tests/hammer/test_hammer.py

test-dynamodb-local: .venv/.ready tools tests/kit/dynamodb-local/node_modules/.package-lock.json  ## the store on DynamoDB Local, with Java
	@command -v java >/dev/null || { echo "DynamoDB Local needs Java, 17 or newer" >&2; exit 1; }
	DYNAMODB_LOCAL=1 $(BIN)/pytest -q tests/contract/test_item_store.py tests/server/store tests/server/test_storage.py tests/e2e/test_dynamodb.py

up: .venv/.ready  ## run the platform on this machine (Ctrl-C stops it)
	@exec $(BIN)/artcafe up

demo: .venv/.ready  ## create a tenant and two agents, and run their exchange
	@exec $(BIN)/artcafe demo

# A peer that cannot be installed is left out of the table, which then says so.
.bench/%/.ready: requirements/bench-%.txt | $(UV)
	@{ $(UV) venv --quiet --allow-existing --python $(PYTHON) $(@D) \
	  && $(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes $< && touch $@; } || echo "left out: $<" >&2

benchmarks/peers/programs/node_modules/.package-lock.json: benchmarks/peers/programs/package-lock.json
	@npm ci --prefix $(<D) --silent --no-audit --no-fund || echo "left out: $<" >&2

bench-programs: WANTED := mosquitto:mosquitto node:nodejs npm:npm
profile-programs: WANTED := perf:linux-perf
bench-programs profile-programs:
	@for each in $(WANTED); do \
	  PATH="$$PATH:/usr/sbin" command -v "$${each%:*}" >/dev/null \
	    || { apt-get update -qq && apt-get install -qq -y "$${each#*:}"; } >/dev/null 2>&1 \
	    || echo "left out: $${each%:*}" >&2; \
	done

PEERS := bench-programs .bench/plain/.ready benchmarks/peers/programs/node_modules/.package-lock.json
PEERS += $(if $(QUICK),,.bench/crossbar/.ready)

bench: .venv/.ready $(PEERS)  ## compare with other servers; QUICK=1 in a minute
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(PUBLISH),--publish) $(if $(ONLY),--only $(ONLY))

growth: .venv/.ready  ## measure the cost of more subscribers, tenants, patterns and bytes
	@$(BIN)/python -m benchmarks.growth $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PUBLISH),--publish)

attack: .venv/.ready  ## attack one tenant's neighbours in some thirty ways; ONLY="pings silent" SECONDS=
	@$(BIN)/python -m benchmarks.attack $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ONLY),--only $(ONLY))

soak: .venv/.ready  ## five minutes at half load: nothing lost, memory flat; SECONDS=
	@$(BIN)/python -m benchmarks.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PUBLISH),--publish)

profile: .venv/.ready profile-programs .bench/profile/.ready  ## profile the cases of the benchmark
	@$(BIN)/python -m benchmarks.profile $(if $(SECONDS),--seconds $(SECONDS)) $(if $(PUBLISH),--publish)

compression: .venv/.ready  ## measure permessage-deflate
	@$(BIN)/python -m benchmarks.compression $(if $(PUBLISH),--publish)

telemetry: .venv/.ready  ## measure what metrics cost
	@$(BIN)/python -m benchmarks.telemetry $(if $(PUBLISH),--publish)

.audit/.ready: requirements/audit.txt | $(UV)
	@echo "setup: everything pinned in requirements/dev.txt (.venv) …"
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(@D)
	@$(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes $<
	@touch $@

# pip-audit without --strict takes a service that does not answer for one that knows of nothing.
audit: .audit/.ready  ## known vulnerabilities, bandit, secrets in the tree, an SBOM
	@mkdir -p reports
	.audit/bin/bandit --quiet --recursive src --severity-level medium
	git ls-files -z -- src deploy docs benchmarks '*.md' ':!benchmarks/peers/programs/package-lock.json' \
	  | xargs -0 .audit/bin/detect-secrets-hook
	.audit/bin/cyclonedx-py requirements requirements/server.txt --output-format JSON --output-file reports/sbom.json
	.audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/server.txt \
	  || { echo "audit: vulnerable, or the service could not be asked: not passed" >&2; exit 1; }

docs: .venv/.ready  ## write the generated pages: docs/errors.md, settings.md, log-events.md, metrics.md, reference
	@$(BIN)/python -m artcafe.server.reference docs
	@$(BIN)/python -m artcafe.reference docs/reference

lock: | $(UV)  ## pin every dependency with hashes
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/audit.in -o requirements/audit.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/uv.in -o requirements/uv.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml requirements/build.in --extra server --extra aws --extra lambda --extra otel --group dev -o requirements/dev.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra server -o requirements/server.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra server --extra aws -o requirements/aws.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra server --extra otel -o requirements/otel.txt
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate pyproject.toml --extra server --extra aws --extra lambda -o requirements/lambda.txt
	@for each in plain crossbar profile; do $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/bench-$$each.in -o requirements/bench-$$each.txt; done

.PHONY: help setup lint check tools programs test test-plain fuzz hammer up demo bench bench-programs attack growth soak profile profile-programs compression telemetry docs lock
