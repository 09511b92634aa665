# Every target makes .venv with the versions of requirements.lock first, where they are missing or out of date.
# A fresh clone needs Python 3.11 or later and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
N ?= 1M
DATA := demo/dog$(if $(filter 1M,$(N)),,-$(N)).zarr

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock
PINS := pyproject.toml requirements.lock

.PHONY: help demo test test-long bench curves lint sheet docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo [N=25M]  1M (or N) samples, verified and drawn; a brief training; a 2D track lifted to 3D: demo/"
	@echo "make test          lint, documentation, test suite"
	@echo "make test-long     the checks that take minutes"
	@echo "make bench         the figures of docs/benchmarks.md, measured here"
	@echo "make curves        docs/images/curves.png, trained here in a few minutes"
	@echo "make lint          ruff, mypy, import-linter"
	@echo "make sheet         the contact sheet of docs/images.md"
	@echo "make docs          the documentation, strictly, into site/"
	@echo "make clean         remove what the targets above made"

demo: .venv/demo.stamp
	@mkdir -p demo
	$(BIN)/posesynth generate --skeleton dog --n $(N) --out $(DATA)
	$(BIN)/posesynth verify $(DATA)
	$(BIN)/posesynth inspect $(DATA) --png demo/dog.png
	$(BIN)/lifter train --skeleton dog --steps 300 --batch 100 --width 128 --out demo/brief
	$(BIN)/python examples/trot.py demo
	$(BIN)/lifter lift demo/trot.csv --model dog --out demo/poses.csv
	$(BIN)/lifter show demo/poses.csv --video demo/trot.gif
	$(BIN)/lifter show demo/poses.csv --out demo/trot.png
	$(BIN)/lifter evaluate demo/trot.npz --model dog
	@echo "Samples: $(DATA)   Sampled poses: demo/dog.png   Lifted: demo/poses.csv demo/trot.gif demo/trot.png"

test: lint docs
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-long: .venv/dev.stamp
	$(BIN)/python -m pytest -m long

bench: .venv/dev.stamp
	$(BIN)/python -m tests.benchmarks

curves: .venv/dev.stamp
	$(BIN)/python -m tests.benchmarks.curves

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

sheet: .venv/dev.stamp
	$(BIN)/python examples/contact_sheet.py docs/images/rendered.jpg

docs: .venv/dev.stamp
	$(BIN)/zensical build --clean --strict

clean:
	rm -rf .venv site demo build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache .numba_cache

# A Python that comes without ensurepip lends the environment its own pip.
.venv/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: Python 3.11 or later is needed; name one with make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv 2>/dev/null || { \
	    $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python .venv/bin/python install --quiet pip; }

.venv/demo.stamp: $(PINS) | .venv/bin/python
	$(PIP) --editable '.[draw,lifter,preview]'
	@touch $@

.venv/dev.stamp: $(PINS) | .venv/bin/python
	$(PIP) --editable '.[dev]'
	@touch .venv/demo.stamp $@
