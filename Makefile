# Two commands do everything: `make rehearse` and `make test`. Each sets up what it needs, once.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := setup
.PHONY: setup setup-dev rehearse test lint proof bench clean kind-kit rehearse-kind test-kind

VENV := .venv
BIN := $(VENV)/bin
VALUES ?= docs/values.example.yaml
RUNS ?= runs
KIND_RUNS ?= $(RUNS)
# Two cores make two at the same time worth it; a rehearsal mostly waits.
JOBS ?= 2
KIND_JOBS ?= 3

setup: $(VENV)/.ready          ## the virtual environment, and a PostgreSQL server where the machine has none
setup-dev: $(VENV)/.ready-dev  ## the same with the tools of the project's own checks

$(VENV)/.ready: pyproject.toml constraints.txt ci/make-venv
	ci/make-venv $(VENV)

$(VENV)/.ready-dev: $(VENV)/.ready
	ci/make-venv $(VENV) dev

rehearse: setup  ## every loss scenario and every control on the embedded cluster: no Docker, no Kubernetes
	$(BIN)/rehearsal run --cluster local --values $(VALUES) --runs $(RUNS) --jobs $(JOBS)

test: setup-dev lint  ## the project's own tests: no Docker, no cluster, no network
	$(BIN)/pytest tests -m "not kind" -n $(JOBS) --dist loadscope

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

kind-kit: $(VENV)/.ready-kind  ## a container engine, kind, kubectl and images, also where there is no image registry
	ci/kit/build

$(VENV)/.ready-kind: $(VENV)/.ready
	ci/make-venv $(VENV) kind

rehearse-kind: kind-kit  ## the same scenarios and controls on a real, throwaway Kubernetes
	$(BIN)/rehearsal run --cluster kind --values $(VALUES) --runs $(KIND_RUNS) --jobs $(KIND_JOBS)

test-kind: setup-dev kind-kit  ## the tests that need a real cluster: streams, guard, containers
	$(BIN)/pytest tests/kind -m kind -n $(JOBS) --dist loadfile

proof: setup  ## every operator and benign change against the judge, 15 minutes; figures in docs/proof.md
	$(BIN)/rehearsal prove --runs $(RUNS) --docs docs

bench: setup-dev  ## ratios against named peers; figures in docs/benchmarks.md
	for file in table_digest file_inventory seed whole_rehearsal builtin_reading builtin_restore s3_streams; do $(BIN)/python "bench/$$file.py"; done

clean: setup  ## remove what dead or kept runs left behind
	$(BIN)/rehearsal clean --runs $(RUNS)
