# SPDX-License-Identifier: Apache-2.0
# Every job of the project as one word. `make help` lists them.

# A pipe fails when any part of it fails, so that no check is lost in what only shortens its output.
SHELL := bash
.SHELLFLAGS := -o pipefail -c

PYTHON ?= python3
LEDGER ?= embedded
WORKERS ?= 2
RUN_AS ?= containers
# What `make network-up` starts is Fabric unless somebody says otherwise; tests and the demonstration begin without it.
NETWORK := $(if $(filter file,$(origin LEDGER)),fabric,$(LEDGER))
VENV := .venv
SDK_PY := tests/foreign/fabric_sdk_py
RECEIPTS := tests/foreign/receipts
MODEL_SIGNING := tests/foreign/model_signing
BIN := $(VENV)/bin
# These have targets of their own.
APART := --ignore=tests/conformance --ignore=tests/foreign --ignore=tests/reliability --ignore=tests/containers \
         --ignore=tests/hostile
# No dependency resolution and no downloads that the lock files do not name: what is installed is what was reviewed.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-compile

# What our programs import is compiled once and for all: also where Python is told to keep nothing of what it compiles,
# each of the demonstration's programs would do it again at each start.
COMPILE := PYTHONDONTWRITEBYTECODE= $(BIN)/python
OURS := chaincode gateway network

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo demo-stop test test-fabric coverage coverage-chaincode coverage-report scenarios reliability hostile \
        fuzz conformance conformance-table foreign containers check generate licences reference format bench lock clean \
        network-images network-up network-down network-status network-reset network-logs doctor backup restore loadtest add-org rotate-tls

help:  ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Pedigree needs Python 3.11 or newer; this is %d.%d. Choose another with: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV) && touch $@

$(VENV)/.runtime: $(VENV)/.python requirements.lock pyproject.toml
	@echo "Installing what the demonstration needs (once) ..."
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@$(COMPILE) -c 'import chaincode.__main__, gateway.demo.story, gateway.server.serving, network.cli' && $(COMPILE) -m compileall -q $(OURS)
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing what the tests need (once) ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.runtime  ## install into .venv what running needs
install-dev: $(VENV)/.dev  ## install into .venv what testing needs as well

demo: $(VENV)/.runtime  ## play the main job on three organisations (KEEP=1 leaves them running, TLS=1, LEDGER=fabric)
	@$(BIN)/python -m gateway.demo --ledger $(LEDGER) $(if $(KEEP),--keep) $(if $(TLS),--tls)

demo-stop: $(VENV)/.runtime  ## stop what make demo KEEP=1 left running
	@$(BIN)/python -m gateway.demo --ledger $(LEDGER) --stop

test: $(VENV)/.dev  ## run the tests (no Docker, no Fabric)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile $(APART) -m "not fabric" $(ARGS)

test-fabric: $(VENV)/.dev  ## run the tests that need Fabric's programs (FABRIC_BIN, else /opt/fabric/bin)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile $(APART) -m fabric tests/gateway tests/network $(ARGS)

coverage: $(VENV)/.dev  ## run the tests with coverage: chaincode whole, the rest at least 92 %
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-report= $(ARGS)"
	@$(MAKE) --no-print-directory coverage-report

coverage-chaincode: $(VENV)/.dev  ## run the chaincode's own tests with coverage, which is whole
	@$(BIN)/python -m pytest -q -n $(WORKERS) tests/chaincode --cov=chaincode --cov-report= $(ARGS)
	@$(BIN)/python -m coverage report --include='chaincode/*' --fail-under=100 | grep '^TOTAL'

coverage-report: $(VENV)/.dev  ## compare what the last run with coverage found with the goals
	@$(BIN)/python -m coverage report --include='chaincode/*' --fail-under=100
	@$(BIN)/python -m coverage report --fail-under=92 | tail -n 3

scenarios: $(VENV)/.dev  ## play every feature's stories and refusals on three organisations (LEDGER=fabric); see docs/features.md
	@$(BIN)/python -m pytest -q tests/scenarios --ledger=$(LEDGER) $(ARGS)

reliability: $(VENV)/.dev  ## load, kill -9, power cuts and slow clients on the running programs (PEDIGREE_KILLS=20 for long)
	@$(BIN)/python -m pytest -q tests/reliability --ledger=$(LEDGER) $(ARGS)

hostile: $(VENV)/.dev  ## attack a running consortium as a member, an endorser and a stranger (LEDGER=fabric)
	@$(BIN)/python -m pytest -q tests/hostile --ledger=$(LEDGER) $(ARGS)

fuzz: $(VENV)/.dev  ## run each fuzzer for SECONDS (30), the kept seeds first
	@$(BIN)/python -m pytest -q -n $(WORKERS) tests/fuzz --fuzz-seconds=$(or $(SECONDS),30) $(ARGS)

conformance: $(VENV)/.dev  ## compare the ledger with Fabric's behaviour (LEDGER=fabric; LEDGER=containers: by hand, not in CI)
	@$(BIN)/python -m pytest -q tests/conformance --ledger=$(LEDGER) $(ARGS)

conformance-table: $(VENV)/.dev  ## write docs/conformance.md from the last runs on all three ledgers
	@$(BIN)/python tests/conformance/table.py

foreign: $(VENV)/.dev  ## drive the ledger with others' clients and chaincode, judge receipts and signatures with others' verifiers (LEDGER=fabric or containers)
	@$(BIN)/python -m pytest -q tests/foreign --ledger=$(LEDGER) $(ARGS)

containers: $(VENV)/.dev  ## bring Fabric up in containers and kill, stop and cut off its parts (needs Docker and Fabric)
	@$(BIN)/python -m pytest -q tests/containers $(ARGS)

generate: $(VENV)/.dev  ## write what derives from the table of operations: the SDK's typed methods, the guide's tables; docs/features.md
	@$(BIN)/python -m tests.generate
	@$(BIN)/python tests/guide_tables.py
	@$(BIN)/python tests/features.py

check: $(VENV)/.dev  ## lint, types, formatting, import directions, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tests.generate --check
	@$(BIN)/python tests/features.py --check
	@$(BIN)/python -m pytest -q tests/test_house.py tests/test_documents.py::test_the_tables_of_operations_are_those_of_the_table

licences: $(VENV)/.dev  ## renew the law's table of SPDX licences (LIST=folder, a copy of spdx/license-list-data)
	@$(BIN)/python tests/chaincode/domain/spdx_table.py $(LIST)

reference: $(VENV)/.dev  ## write docs/reference from the docstrings of the public packages
	@$(BIN)/python -P tests/reference.py

format: $(VENV)/.dev  ## put every file into the one layout
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev  ## measure into build/bench.json (LEDGER=embedded or fabric)
	@$(BIN)/python -m bench --ledger $(LEDGER) $(ARGS)

network-images: $(VENV)/.runtime  ## build the images (FABRIC_BIN=folder packs Fabric's programs too, MAKE_BASE=1 makes the base)
	@$(BIN)/pedigree-network images $(if $(FABRIC_BIN),--fabric-bin $(FABRIC_BIN)) $(if $(MAKE_BASE),--make-base) $(ARGS)

network-up: $(VENV)/.runtime  ## start Fabric in containers (RUN_AS=processes: as local programs; LEDGER=embedded: without Fabric)
	@$(BIN)/pedigree-network up --detach $(if $(filter embedded,$(NETWORK)),--ledger embedded,--ledger fabric --run-as $(RUN_AS))

network-down: $(VENV)/.runtime  ## stop it
	@$(BIN)/pedigree-network down

network-status: $(VENV)/.runtime  ## show what runs
	@$(BIN)/pedigree-network status

network-reset: $(VENV)/.runtime  ## stop it and remove its ledgers
	@$(BIN)/pedigree-network reset $(ARGS)

network-logs: $(VENV)/.runtime  ## show what its programs have written (ARGS=peer0.lab.example)
	@$(BIN)/pedigree-network logs $(ARGS)

doctor: $(VENV)/.runtime  ## say what is wrong with it and what to do
	@$(BIN)/pedigree-network doctor $(ARGS)

backup: $(VENV)/.runtime  ## back it up into FILE
	@$(BIN)/pedigree-network backup $(FILE) $(ARGS)

restore: $(VENV)/.runtime  ## bring it back from FILE
	@$(BIN)/pedigree-network restore $(FILE) $(ARGS)

loadtest: $(VENV)/.runtime  ## put load on it and measure
	@$(BIN)/pedigree-network loadtest $(ARGS)

add-org: $(VENV)/.runtime  ## make an organisation a member (NAME, MSPID, DOMAIN, PEER=HOST:PORT)
	@$(BIN)/pedigree-network add-org $(NAME) --mspid $(MSPID) --domain $(DOMAIN) --peer $(PEER)

rotate-tls: $(VENV)/.runtime  ## renew its TLS certificates while it runs
	@$(BIN)/pedigree-network rotate-tls $(ARGS)

lock:  ## renew the lock files with uv (no index address is written)
	uv pip compile --quiet --universal --python-version 3.11 --prerelease=if-necessary-or-explicit --generate-hashes \
	  --no-header --no-annotate --extra gateway --extra network --extra demo --extra build pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --prerelease=if-necessary-or-explicit --generate-hashes \
	  --no-header --no-annotate --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --prerelease=if-necessary-or-explicit --generate-hashes \
	  --no-header --no-annotate --extra gateway -c requirements.lock pyproject.toml -o network/images/gateway.lock
	uv pip compile --quiet --universal --python-version 3.11 --prerelease=if-necessary-or-explicit --generate-hashes \
	  --no-header --no-annotate -c requirements.lock pyproject.toml -o network/images/chaincode.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  $(SDK_PY)/build.in -o $(SDK_PY)/build.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --override $(SDK_PY)/overrides.txt $(SDK_PY)/requirements-fabric-sdk-py.in -o $(SDK_PY)/requirements-fabric-sdk-py.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  $(RECEIPTS)/requirements-receipts.in -o $(RECEIPTS)/requirements-receipts.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  $(MODEL_SIGNING)/requirements-model-signing.in -o $(MODEL_SIGNING)/requirements-model-signing.lock

clean:  ## remove the virtual environment, caches and demonstration data
	rm -rf $(VENV) .pedigree build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
