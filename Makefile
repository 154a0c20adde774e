# Everything a person or CI does with this repository. `make help` lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
LOCKED := --require-hashes --only-binary :all: -r
# Processes that `make test` runs tests in, each with a control plane of its own. Three keep two cores busy; one
# after another the tests take half as long again.
LANES ?= 3
# It judges the audit logs of all the others, afterwards.
AUDIT := tests/rbac/test_audit.py
# What outlives a clone; the control plane's programs are there as well.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/talkdesk-operator
# Tests that start no program, and fewer examples of each property than `make test` tries.
UNIT := -m "not cluster and not sandbox and not processes" --hypothesis-profile=unit

# Where it is set, whatever inherits it compiles all that it imports at each start: pytest, whose workers then take
# twelve seconds each to find the tests instead of four, and what they start.
unexport PYTHONDONTWRITEBYTECODE
# Playwright's driver is Node's, and starts with each browser: a third of that start is compiling.
export NODE_COMPILE_CACHE ?= $(CACHE)/node

.DEFAULT_GOAL := help
.PHONY: help install sandbox controlplane programs unit unit-all bench bench-gateway costs turmoil test lint format crds lock kill-all browser certify screenshots rbac-all breakages-all stories-all clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# uv installs in a second where it has the files already, in a few where not, and pip in twenty. Only pip knows of
# a mirror that pip.conf names.
$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "installing the locked dependencies into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >$(VENV)/uv.lock
	@$(PIP) $(LOCKED) $(VENV)/uv.lock
	@$(UV) $(LOCKED) requirements.lock || $(PIP) $(LOCKED) requirements.lock
	@$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed ## virtual environment with the locked dependencies

sandbox: install ## the whole marketplace on this machine; Ctrl-C ends it
	@$(BIN)/talkdesk-operator sandbox

controlplane: install ## build (once) the programs of the local control plane
	@$(BIN)/talkdesk-operator controlplane build

unit: install ## fast tests: no cluster, no other program
	@$(PYTEST) -q --numprocesses=auto --maxprocesses=4 $(UNIT)

unit-all: ## the fast tests on every supported Python that is at hand
	@MAKE='$(MAKE)' sh tests/unit-all.sh

programs: # what no lock file brings
	@sh tests/programs.sh

test: controlplane programs ## every test, of the exhaustive ones a part
	@rm -rf build/audits build/browser
	@AUDITS=build/audits $(PYTEST) $(if $(filter-out 1,$(LANES)),--numprocesses=$(LANES) --no-loadscope-reorder) --durations=15 --ignore=$(AUDIT)
	@AUDITS=build/audits $(PYTEST) -q $(AUDIT)

kill-all: controlplane ## kill -9 before and after every write and call of an install (CI takes a quarter)
	@KILL=all $(PYTEST) tests/faults/test_kill.py

costs: controlplane ## count what each step of a customer's life costs, into docs/costs.md
	@COSTS=write $(PYTEST) -q tests/stateful/test_costs.py

turmoil: controlplane ## customers, platform and faults at random, ten examples (CI takes two), and all planted bugs
	@TURMOIL_TELL=1 TURMOIL_EXAMPLES=$${TURMOIL_EXAMPLES:-10} $(PYTEST) -s tests/stateful/test_turmoil.py
	@TURNS=all $(PYTEST) tests/stateful/test_planted.py

bench: controlplane ## benchmarks, as ratios (bench/README.md); CI does not run them
	@$(BIN)/python bench/install_share.py

browser: controlplane ## the marketplace in a real browser, with screenshots in build/browser
	@rm -rf build/browser
	@$(PYTEST) -v tests/browser

certify: controlplane ## Talkdesk's QA checklist in a browser, with a report in build/certification
	@rm -rf build/certification
	@$(BIN)/talkdesk-operator certify --report build/certification

screenshots: certify ## the pictures in the manual, of the console and of a certification, taken anew: docs/images
	@$(BIN)/python -m talkdesk_cli.report_pictures build/certification docs/images
	@$(BIN)/python -m talkdesk_sandbox.console.screenshots docs/images

bench-gateway: controlplane ## the gateway against bare Envoy, removals, a thousand tenants: build/bench/gateway.json
	@$(MAKE) --no-print-directory install VENV=.venv-bench PYTHON="$$(sh bench/python.sh $(PYTHON))"
	@PYTHONPATH=bench .venv-bench/bin/python -m gateway_bench

breakages-all: controlplane programs ## certify the app broken in every way that is known (CI takes an eighth)
	@TURNS=all $(PYTEST) tests/certify/test_breakages.py

stories-all: controlplane programs ## the sandbox's stories with every damage and every switch (CI takes a part)
	@TURNS=all $(PYTEST) tests/sandbox

rbac-all: controlplane ## take away every right of the chart in turn: the story must fail (CI takes a sample)
	@RIGHTS=all $(PYTEST) tests/sandbox/stories/test_rights.py

# Ruff without a cache: its verdict on a file's imports outlives a module that came or went elsewhere. Mypy with one
# for all clones: it goes by what files hold, and to read them all takes half a minute.
lint: export MYPY_CACHE_DIR ?= $(CACHE)/mypy
lint: install ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check --no-cache .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: install ## let ruff write
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

crds: install ## write crds/*.yaml and the chart's copies from the models
	@$(BIN)/python -m talkdesk_crds.schema

lock: install ## resolve the newest versions into the lock files (all, and the image's subset)
	@$(BIN)/uv pip compile --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --all-extras --custom-compile-command 'make lock' --quiet --output-file requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command 'make lock' --quiet --constraint requirements.lock \
		--output-file requirements-image.lock pyproject.toml

clean: ## remove what make made here
	@rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
