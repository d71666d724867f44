# make repro: install what is missing, then rebuild everything, JOBS stages at a time.
# make test: install what is missing, then run all tests.
# make test-fast: tests that take no training, no torchrun and no whole pipeline.
# make torture: kills, flipped bits, fuzzing, removed guards; half an hour, less by TORTURE_SCALE=0.1.
# make lint: style and types of the code; needs ruff and mypy (the extra `lint`).
# make pretrain: train the tiny checkpoints anew; hours, and no part of the other two.
PYTHON ?= python3
VENV := .venv
JOBS ?= 2
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test test-fast torture lint pretrain install clean

repro: install
	promptseg check
	promptseg repro --jobs $(JOBS)
	dvc repro

test: install
	python -m pytest -n auto --dist loadgroup

test-fast: install
	python -m pytest -n auto --dist loadgroup -m "not slow"

torture: install
	python -m pytest -n 2 --dist loadgroup -rP -o python_files='torture_*.py' tests/torture

lint:
	ruff check stages docs tests
	ruff format --check stages docs tests
	mypy stages/promptseg tests/benchmarks

pretrain: install
	dvc --cd stages/pretrain repro
	python stages/pretrain/ship.py stages/pretrain/data/checkpoints stages/promptseg/tiny

install: $(VENV)/installed

# --no-deps: the lock names every package, so nothing is left for pip to decide.
$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "promptseg needs Python 3.11.4 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) build stages/*.egg-info
