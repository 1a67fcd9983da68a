# The two commands are `make run` and `make test`; `make help` lists the rest.
# Work that is done leaves a stamp, so a second `make run` only starts the server.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
DATA_DIR := $(or $(TIDEMILL_SERVER__DATA_DIR),data)
CONSOLE := src/tidemill/server/console/index.html
CONSOLE_SOURCES := $(shell find console -path console/node_modules -prune -o -type f -print 2>/dev/null)
MIGRATIONS := $(wildcard src/tidemill/platform/db/migrations/versions/*.py)
# Another database or data directory has its own mark of being up to date.
DATABASE_KEY := $(firstword $(shell printf '%s' "$${TIDEMILL_DATABASE__URL:-} $${DATABASE_URL:-} $${TIDEMILL_CONFIG:-} $(DATA_DIR)" | cksum))
COMPOSE := docker compose -f deploy/compose/docker-compose.yml
# At most two test processes: each brings a PostgreSQL, and journeys start real servers.
TEST_PROCESSES ?= 2

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# ---- set-up -------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: $(VENV)/.installed $(CONSOLE) $(VENV)/.migrated-$(DATABASE_KEY) demo-model ## everything `make run` needs, without starting it

$(VENV)/pyvenv.cfg:
	@scripts/make_venv.sh $(VENV)

$(VENV)/.installed: $(VENV)/pyvenv.cfg requirements-all.lock pyproject.toml
	@echo "installing the pinned dependencies"
	$(PIP) install --quiet --require-hashes -r requirements-all.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --no-index -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "installing what checks and tests need"
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	touch $@

console/node_modules/.installed: console/package-lock.json console/package.json
	@scripts/check_node.sh
	npm --prefix console ci --no-audit --no-fund --loglevel=error
	touch $@

$(CONSOLE): console/node_modules/.installed $(CONSOLE_SOURCES) | $(VENV)/.installed
	@echo "building the console"
	npm --prefix console run build --silent
	touch $@

$(VENV)/.migrated-$(DATABASE_KEY): $(VENV)/.installed $(MIGRATIONS)
	@$(BIN)/tidemill db upgrade
	touch $@

.PHONY: demo-model
demo-model: $(VENV)/.installed
	@compgen -G '$(DATA_DIR)/models/*.gguf' > /dev/null || $(BIN)/tidemill models fetch-demo \
	  || echo "The demo model is missing; the product works without it. With a network: .venv/bin/tidemill models fetch-demo"

# ---- run ----------------------------------------------------------------------------------------------------------

.PHONY: run
run: setup ## set up what is missing and start the product on http://127.0.0.1:8080
	@exec $(BIN)/tidemill serve

.PHONY: dev
dev: setup $(VENV)/.installed-dev ## server that restarts on change, and the console's development server
	@scripts/dev.sh

.PHONY: dev-up
dev-up: ## backing services by compose
	@$(COMPOSE) up --detach --wait

.PHONY: dev-down
dev-down: ## stop the backing services; their data stays
	@$(COMPOSE) down

.PHONY: migrate-up
migrate-up: $(VENV)/.installed ## bring the configured database to the newest revision
	@$(BIN)/tidemill db upgrade

.PHONY: migrate-down
migrate-down: $(VENV)/.installed ## take the configured database one revision back, or to=REVISION
	@$(BIN)/tidemill db downgrade -- $(or $(to),-1)

.PHONY: migrate-create
migrate-create: $(VENV)/.installed ## write an empty migration: name=what_it_adds
	@$(BIN)/python scripts/create_migration.py "$(name)"

# ---- test and check -----------------------------------------------------------------------------------------------

.PHONY: test
test: setup $(VENV)/.installed-dev test-system test-console test-python ## every test; names at the end what could not be brought up

.PHONY: test-system
test-system:
	@scripts/install_test_system.sh

.PHONY: test-console
test-console: $(CONSOLE)
	@npm --prefix console test --silent

.PHONY: test-python
test-python: $(VENV)/.installed-dev $(CONSOLE)
	@$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup $(PYTEST_ARGS)

.PHONY: check
check: check-format check-lint check-types check-layers check-architecture check-generated check-locks check-words check-console ## format, lint, types, contracts, generated files, locks

.PHONY: check-format
check-format: $(VENV)/.installed-dev
	@$(BIN)/ruff format --check .

.PHONY: check-lint
check-lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .

.PHONY: check-types
check-types: $(VENV)/.installed-dev
	@$(BIN)/pyright

.PHONY: check-layers
check-layers: $(VENV)/.installed-dev
	@$(BIN)/lint-imports --no-cache --no-logo

.PHONY: check-architecture
check-architecture: $(VENV)/.installed-dev
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/architecture

.PHONY: check-generated
check-generated: $(VENV)/.installed
	@$(BIN)/python scripts/generate.py --check

.PHONY: check-locks
check-locks: $(VENV)/.installed-dev
	@$(BIN)/python scripts/check_locks.py

.PHONY: check-words
check-words: $(VENV)/.installed
	@$(BIN)/python scripts/check_words.py

.PHONY: check-console
check-console: console/node_modules/.installed $(VENV)/.installed
	@npm --prefix console run check --silent

.PHONY: format
format: $(VENV)/.installed-dev ## put every file in form
	@$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	console/node_modules/.bin/biome check --write console

.PHONY: soak
soak: setup $(VENV)/.installed-dev test-system ## the fault tests at length: JOBS=5000 jobs a test, REPEATS=3 times over
	@for round in $$(seq $${REPEATS:-3}); do JOBS=$${JOBS:-5000} $(BIN)/python -m pytest tests/faults -rA -q --timeout 1800 $(PYTEST_ARGS) || exit 1; done

.PHONY: bench
bench: setup $(VENV)/.installed-dev ## measurements, each as a ratio to a baseline of the same run
	@$(BIN)/python -m bench.run $(BENCH_ARGS)

.PHONY: bench-peers
bench-peers: setup $(VENV)/.installed-dev ## the same beside LiteLLM's proxy, installed from PyPI into bench/.cache
	@$(BIN)/python -m bench.peers $(BENCH_ARGS)

.PHONY: bench-memory
bench-memory: setup $(VENV)/.installed-dev ## whether memory stays flat under traffic: TIDEMILL_BENCH_MINUTES (10)
	@$(BIN)/python -m bench.run memory $(BENCH_ARGS)

# ---- make things --------------------------------------------------------------------------------------------------

.PHONY: openapi
openapi: $(VENV)/.installed console/node_modules/.installed ## write the OpenAPI, the console's client and the references anew
	@$(BIN)/python scripts/generate.py
	npm --prefix console run generate --silent

.PHONY: lock
lock: $(VENV)/.installed-dev ## write the lock files anew; LOCK_ARGS=--upgrade takes newer versions
	@scripts/lock.sh $(LOCK_ARGS)

.PHONY: wheel
wheel: $(VENV)/.installed $(CONSOLE) ## build dist/tidemill-*.whl with the console inside
	@$(BIN)/python -m hatchling build -t wheel
