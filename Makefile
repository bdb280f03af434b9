# What a person types. `make tune` and `make test` work in a fresh clone with nothing but Python 3.11 and make.

PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install tune test chaos check format docs clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

tune: $(INSTALLED)
	$(BIN)/python jobs/tune.py --dataset sample --trials 8 --epochs 30 --seeds 2 --summary unblur-runs/sample.json

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check
	$(BIN)/pytest -m "not slow"

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

chaos: $(INSTALLED)
	$(BIN)/pytest tests/chaos

clean:
	rm -rf .venv unblur-runs mlflow.db mlartifacts
