# make demo: the main job on the reference models.   make test: everything that must hold before a commit.
# Both need Python 3.11 or newer and make; each installs what it needs into .venv once and is quick afterwards.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-peers clean
.DELETE_ON_ERROR:

demo: $(VENV)/.demo
	@$(BIN)/python benchmarks/demo.py

test: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2

# Hours the first time; goes on where it was stopped. DeepSpeed is compared where it is installed.
test-peers: $(VENV)/.dev
	$(BIN)/python -m benchmarks.peers.equality

# A stamp is newer than pyproject.toml exactly when its extra is installed as that file says.
$(VENV)/.%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "effbench needs Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
