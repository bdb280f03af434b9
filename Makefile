# What a person types. `make tune` and `make test` work in a fresh clone with nothing but make and Python 3.11, 3.12 or
# 3.13, the first of them that runs; where none does, uv fetches one.

FITS = 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c $(FITS) 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install tune test suite chaos mutants check format docs clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@python="$(PYTHON)"; if [ -n "$$python" ]; then $$python -m venv .venv; \
	elif command -v uv >/dev/null; then uv venv --quiet --seed --allow-existing --python '>=3.11,<3.14' .venv; \
	else echo "make: no Python 3.11, 3.12 or 3.13 is here, and no uv to fetch one; name one with PYTHON=..." >&2; exit 1; fi
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

# the checks, most of which use one core, beside the tests
test: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs=2 check suite

# two at a time, a file each: most of a test with Ray is waiting for its processes; in their order, as those of the
# fewest and longest tests would come last otherwise, one alone
suite: $(INSTALLED)
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

chaos: $(INSTALLED)
	$(BIN)/pytest tests/chaos

mutants: $(INSTALLED)
	$(BIN)/python tests/mutants/run.py

clean:
	rm -rf .venv unblur-runs mlflow.db mlartifacts
