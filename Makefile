# Two commands do everything on a fresh machine: make demo, make test. Nothing is downloaded but requirements.lock, hashes checked.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := test
.PHONY: demo test search check docs

.venv: .venv/installed
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: .venv
	$(BIN)/phi-audit demo

test: .venv
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not alone"
	$(BIN)/python -m pytest -m alone

# The property tests with examples drawn anew: `make test` draws the same ones each time.
search: .venv
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not alone" --hypothesis-profile=search

check: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages under docs/ as a site: docs/_build/html/index.html opens from disk. The reference is made from the code first.
docs: .venv
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx -W --keep-going -n -q -b html docs docs/_build/html
	@echo docs/_build/html/index.html
