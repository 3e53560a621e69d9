# The README's two commands: `make demo` runs the main job on the demo mesh,
# `make test` installs what the tests need, then runs linters, types and tests.
.PHONY: demo test fuzz sbom release release-text lock clean

PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/.tools/bin:$(PATH)

demo: .venv/installed-run
	$(BIN)/rightsize demo

test: .venv/installed-dev
	$(BIN)/python tests/servers/install.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Each fuzz target for FUZZ_SECONDS, and every command in every format on the hostile mesh;
# in `make test` the targets share a minute.
FUZZ_SECONDS ?= 600
fuzz: .venv/installed-dev
	RIGHTSIZE_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/fuzz tests/cli/test_hostile_mesh.py

# What the program is made of, as CycloneDX, from the pins of its run-time.
sbom: .venv/installed-dev
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
	  -o dist/rightsize.cdx.json requirements/run.txt

# Fails where the tag is not the program's version, or the changelog says nothing about it.
release-text:
	mkdir -p dist
	$(PYTHON) deploy/release_notes.py "$(TAG)" > dist/release.md

# All that a tag releases but the image: wheel, sdist, chart, list of components, text, sums. TAG names the version.
release: release-text sbom
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build -d dist
	helm package deploy/chart --version "$(TAG:v%=%)" --app-version "$(TAG:v%=%)" -d dist
	mv dist/rightsize-$(TAG:v%=%).tgz dist/rightsize-chart-$(TAG:v%=%).tgz
	cd dist && sha256sum rightsize-* rightsize.cdx.json > SHA256SUMS

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed-%: requirements/%.txt requirements/build.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Hashed pins, without index addresses, for Python 3.11 and newer: run-time, build tools, all.
lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev $(LOCK) -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml $(LOCK) -c requirements/dev.txt -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --extra kube $(LOCK) -c requirements/dev.txt -o requirements/image.txt
	$(BIN)/uv pip compile pyproject.toml $(LOCK) $(OF_REPORT:%=--no-emit-package %) -c requirements/dev.txt -o requirements/slim.txt
	$(BIN)/uv pip compile --group build $(LOCK) -c requirements/dev.txt -o requirements/build.txt

# What only charts and the report need; slim.txt goes without it.
OF_REPORT := matplotlib contourpy cycler fonttools kiwisolver pillow pyparsing xlsxwriter jinja2 markupsafe

LOCK := --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --quiet

clean:
	rm -rf .venv .tools build dist
