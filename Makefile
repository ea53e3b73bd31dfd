# make demo and make test do all the set-up themselves, in .venv, without root.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
CMBTK := $(BIN)/cmbtk
# The first Python that TensorFlow has wheels for and that can make environments; PYTHON=/path/to/python chooses another.
FITS := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3; do \
	$$p -c '$(FITS)' >/dev/null 2>&1 && { echo $$p; break; }; done)

.PHONY: help setup demo demo-long demo-tables demo-rivals test lint changelog container darknet darknet-clean clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^[^:]*Makefile://; s/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: $(VENV)/.installed ## make the virtual environment .venv and install cmbtk in it

# Its own stamp, so that an interrupted installation is done again; the tests' tools come with `make test` and `make lint`.
$(VENV)/.installed: setup.cfg pyproject.toml
	@test -x $(BIN)/python || { test -n "$(PYTHON)" && $(PYTHON) -c '$(FITS)' && $(PYTHON) -m venv $(VENV); } || { \
		rm -rf $(VENV); echo "No Python 3.11 to 3.13 that can make virtual environments. Install one (Debian and Ubuntu:"; \
		echo "apt install python3 python3-venv), or name yours: make $(MAKECMDGOALS) PYTHON=/path/to/python"; exit 3; }
	@echo "Installing cmb_toolkit and what it needs into $(VENV) (about 2 GB, a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-workflow: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[workflow]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	@touch $@

# --- the demo: the whole method on simulated scans; every line is a command to use on your own scans -----------------
SEED := 1
define whole_method
	$(CMBTK) simulate $(STUDY) --resolution slab $(COHORT) --difficulty easy --scanners 2 --seed $(SEED)
	$(CMBTK) preprocess $(STUDY)
	$(CMBTK) split $(STUDY) --folds 5 --seed $(SEED)
	$(CMBTK) check $(STUDY)
	$(CMBTK) prepare-yolo $(STUDY) --fold 1 --cfg small $(PREPARE)
	$(CMBTK) stage1-train $(CELL) --seed $(SEED)
	$(CMBTK) stage1-detect $(CELL) $(DETECT)
	$(CMBTK) stage2-crop $(CELL)
	$(CMBTK) stage2-train $(CELL) --network small --augment in-plane --copies 6 1 $(CLASSIFIER) --seed $(SEED)
	$(CMBTK) stage2-classify $(CELL) --most-false 2
	$(CMBTK) evaluate $(CELL)
	$(CMBTK) figures $(STUDY)
	$(CMBTK) model make $(CELL) -o $(STUDY)/demo.cmbtk
	$(CMBTK) simulate $(STUDY)/new --resolution slab --subjects 1 --healthy 0 --difficulty easy --seed 99
	$(CMBTK) detect $(STUDY)/demo.cmbtk --magnitude $(NEW)_part-mag_T2starw.nii.gz --phase $(NEW)_part-phase_T2starw.nii.gz -o $(STUDY)/result
endef

define show
	@$(CMBTK) tables $(STUDY)
	@echo "The study in $(STUDY)/ is done; its figures are in $(STUDY)/figures/. To have it made anew, remove the folder."
	@echo "The model is $(STUDY)/demo.cmbtk. What it found in a scan that it never saw, to open in a browser:"
	@echo "  $(CURDIR)/$(STUDY)/result/report.html"
endef

NEW = $(STUDY)/new/scans/sub-001/sub-001
CELL = $(STUDY)/cells/slab_swi+cphase-averaged_fold-1
DETECT := --threshold auto --most-false 40

demo: STUDY := demo
demo: COHORT := --subjects 32 --healthy 4
demo: PREPARE := --max-batches 1500
demo: CLASSIFIER := --epochs 15
demo: demo/.done ## the whole method on simulated scans: at most 15 minutes on 2 cores; again: the table at once
	$(show)

demo-long: STUDY := demo-long
demo-long: COHORT := --subjects 80 --healthy 10
demo-long: PREPARE := --max-batches 9000
demo-long: CLASSIFIER := --epochs 40
demo-long: demo-long/.done ## the same with more subjects and iterations: at most 2 hours on 2 cores
	$(show)

demo/.done demo-long/.done: | $(VENV)/.installed
	$(whole_method)
	@touch $@

# The same again goes on where it was, and at the end makes the report anew only if something changed.
demo-tables: | $(VENV)/.installed-workflow ## every table of the paper on simulated scans: at most 75 minutes on 2 cores
	$(CMBTK) simulate demo-tables --cohort demo --difficulty easy --seed 1
	$(CMBTK) experiment run demo-tables --settings demo
	$(CMBTK) experiment report demo-tables

demo-rivals: | $(VENV)/.installed-workflow ## the same with every method of Table 9 on all folds: some hours on 2 cores
	$(CMBTK) simulate demo-rivals --cohort demo --difficulty easy --seed 1
	$(CMBTK) experiment run demo-rivals --settings demo-rivals
	$(CMBTK) experiment report demo-rivals

# Two workers with a thread each: TensorFlow's own threads wait spinning, and slow each other down. Byte code is kept
# whatever the shell says: a hundred commands, each in a process of its own, need not compile the package anew.
test: $(VENV)/.installed-dev ## run the tests (at most 15 minutes on 2 cores)
	PYTHONDONTWRITEBYTECODE= TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test-torch: $(VENV)/.installed-dev ## the tests of both networks with Keras on PyTorch, which is installed for it
	$(BIN)/python -m pip install -q -e '.[torch]'
	OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(BIN)/python -m pytest -n 2 --dist worksteal tests/darknet tests/stage2

test-jax: $(VENV)/.installed-dev ## the same with Keras on JAX
	$(BIN)/python -m pip install -q -e '.[jax]'
	OMP_NUM_THREADS=1 KERAS_BACKEND=jax $(BIN)/python -m pytest -n 2 --dist worksteal tests/darknet tests/stage2 tests/heatmap

lint: $(VENV)/.installed-dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

DOCKER ?= docker
container: ## build the container cmbtk (docs/container.md); DOCKER=podman
	$(DOCKER) build --build-arg COMMIT=$$(git rev-parse HEAD) -t cmbtk -f container/Dockerfile .

changelog: ## put the files of changes/ together as the version's section of CHANGELOG.md
	@$(PYTHON) changes/together.py

# What can be set: make darknet GPU=0 OPENCV=0 ARCH="-gencode ..." DARKNET_SRC=/path/to/checkout; see darknet/README.md
DARKNET_OPTIONS := GPU CUDNN CUDNN_HALF OPENCV AVX OPENMP ARCH NVCC JOBS DARKNET_REPO DARKNET_COMMIT DARKNET_SRC
given = $(if $(filter command,$(origin $(1))),'$(1)=$($(1))')

darknet: ## clone and build AlexeyAB's Darknet for this machine (optional: cmbtk works without one)
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13. Name yours: make darknet PYTHON=/path/to/python"; exit 3; }
	@$(PYTHON) darknet/build.py $(foreach option,$(DARKNET_OPTIONS),$(call given,$(option)))

darknet-clean: ## remove Darknet's source and binary
	rm -rf darknet/source darknet/build

clean: ## remove the environment, the demos and what the tools leave behind
	rm -rf $(VENV) demo demo-long demo-tables demo-rivals build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
