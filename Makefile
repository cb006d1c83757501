# Everything sets up what it needs, once: `make demo` and `make test` work in a fresh clone.
# Needs Python 3.11 or 3.12 (the worker alone: or newer), and a JDK 17 and Maven for Kafka; on Debian what is missing of the
# servers is installed by apt.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin

# A stamp is named after the hash of what it was made from: a git checkout changes times, but not these.
digest = $(shell cat $(1) 2>/dev/null | sha256sum | cut -c1-16)
BASE := .venv/.installed-base-$(call digest,pyproject.toml requirements/demo.txt)
FULL := .venv/.installed-full-$(call digest,pyproject.toml requirements/demo.txt requirements/dev.txt requirements/training.txt)

## demo: 300 listings through real servers, then demo/report.html
.PHONY: demo
demo: $(BASE)
	@$(BIN)/colour-worker demo

## test: ruff, mypy, and every test that takes less than about a minute
.PHONY: test
test: set-up
	@# The tests run whatever lint says: one run tells all that is wrong.
	@status=0; $(MAKE) lint || status=1; $(BIN)/pytest -m "not long" || status=1; exit $$status

## faults: every fault on real servers, then a soak of 50,000 events; FAULTS="--seed 7 --only soak --events 5000"
.PHONY: faults
FAULTS ?=
faults: set-up
	@$(BIN)/python -m tests.faults.campaign $(FAULTS)

## model: the whole model from DATA=../shared/data in OUT=runs/model, by CONFIG, measured on TEST; goes on where it was stopped
.PHONY: model
DATA ?= ../shared/data
OUT ?= runs/model
CONFIG ?= training/configs/default.yaml
TEST ?= $(wildcard $(DATA)/listings-dev.parquet)
# The encoder's processes, one a GPU, else one a core up to two. Threads of one process wait for each other at every layer,
# for whichever shares its core with the composing of pictures; processes only once a step. The allocator keeps its pages.
PROCESSES ?= $(shell (nvidia-smi -L 2>/dev/null || seq $$(env -u OMP_NUM_THREADS nproc) | head -2) | wc -l)
LEAN = OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=2000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=500000000
TRAIN = $(LEAN) $(BIN)/colour-train $(1) --out $(OUT) --config $(CONFIG)
ENCODE = $(LEAN) $(BIN)/torchrun --standalone --nproc_per_node $(PROCESSES) -m training.cli encoder $(1) --out $(OUT) \
	--config $(CONFIG)
model: $(FULL)
	@# Each stage does nothing where run.json says that it is done with these settings, on these photos.
	@$(call TRAIN,prepare --data $(DATA))
	@$(call TRAIN,scratch)
	@$(call ENCODE,--no-street)
	@$(call TRAIN,label)
	@$(call ENCODE,--street)
	@$(call TRAIN,head)
	@$(call TRAIN,export --repository $(OUT)/triton_models)
ifeq ($(TEST),)
	@echo "No report and no card: $(DATA)/listings-dev.parquet is not there; name labelled photos of yours with TEST=file.parquet"
else
	@$(BIN)/colour-train evaluate --data $(TEST) --repository $(OUT)/triton_models --model $(OUT) --out $(OUT)/report
	@$(BIN)/colour-train card --out $(OUT) --repository $(OUT)/triton_models
endif

## rivals: train the rivals on the same data, some minutes each; the next report of `make model` shows them
.PHONY: rivals
rivals: $(FULL)
	@$(call TRAIN,prepare --data $(DATA))
	@$(call TRAIN,rivals)

## bench: the figures of docs/performance.md on real servers, 15 minutes; FIGURES="latency start" measures these
.PHONY: bench
FIGURES ?=
bench: $(BASE)
	@$(BIN)/python -m tests.benchmarks $(FIGURES)

## profile: flame graphs of a running worker, runs/profiles/cold.svg and warm.svg
.PHONY: profile
profile: $(BASE)
	@$(BIN)/python -m tests.benchmarks.profile

## lint: ruff and mypy
.PHONY: lint
lint: $(FULL)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

## stack-up: start Kafka, Redis, Triton and a photo host, and leave them running
.PHONY: stack-up
stack-up: $(BASE)
	@$(BIN)/python -m deploy.local.cli up

## stack-down: stop them
.PHONY: stack-down
stack-down: $(BASE)
	@$(BIN)/python -m deploy.local.cli down

## lock: resolve requirements/*.txt again; UPGRADE=--upgrade takes the newest versions
.PHONY: lock
UPGRADE ?=
COMPILE = .local/lock/bin/pip-compile --quiet --strip-extras --allow-unsafe --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: python
	@test -x .local/lock/bin/pip-compile || { $(PYTHON) -m venv .local/lock && .local/lock/bin/pip install -q pip-tools; }
	@# One resolution of everything comes first, so that the lists agree wherever two of them meet in one environment.
	@cat requirements/{worker,demo,dev,training}.txt 2>/dev/null | sort -u > .local/lock/all.txt || true
	@$(COMPILE) $(UPGRADE) --extra demo --extra dev --extra training -o .local/lock/all.txt pyproject.toml
	@$(COMPILE) $(UPGRADE) -c .local/lock/all.txt -o requirements/worker.txt pyproject.toml
	@for extra in demo dev training; do \
		$(COMPILE) $(UPGRADE) -c .local/lock/all.txt --extra $$extra -o requirements/$$extra.txt pyproject.toml; done
	@for environment in triton bench; do \
		$(COMPILE) $(UPGRADE) -o requirements/$$environment.txt requirements/$$environment.in; done

## clean: stop the stack; remove its data, the tests' left-overs and caches
.PHONY: clean
clean:
	@if [ -d .local/stack ]; then $(BIN)/python -m deploy.local.cli down; fi
	@rm -rf .local/stack .local/tests .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find worker training deploy tests -name __pycache__ -prune -exec rm -rf {} +

## clean-all: clean, and remove what was installed (.venv and .local)
.PHONY: clean-all
clean-all: clean
	@rm -rf .venv .local

## help: this list
.PHONY: help
help:
	@sed -n 's/^## \([^:]*\): \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# The servers are fetched while pip fetches torch.
.PHONY: set-up
set-up: $(BASE)
	@$(MAKE) -j2 $(FULL) servers

.PHONY: servers
servers: $(BASE)
	@$(BIN)/python -m deploy.local.cli install

.PHONY: python
python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is not on PATH; install it, or name one: make PYTHON=/path/to/python" >&2; exit 1; }

$(BASE): | python
	@echo "Setting up .venv: the worker"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q -r requirements/demo.txt
	@$(BIN)/python -m pip install -q --no-deps -e .
	@rm -f .venv/.installed-base-*
	@touch $@

$(FULL): $(BASE)
	@echo "Setting up .venv: training and development (torch: some minutes)"
	@$(BIN)/python -m pip install -q -r requirements/dev.txt -r requirements/training.txt
	@rm -f .venv/.installed-full-*
	@touch $@
