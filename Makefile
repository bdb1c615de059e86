# make setup | demo | test | check: each installs what it needs into .venv first, and only when that is out of date.
# On Linux, PyPI's torch brings CUDA along; `make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu` does not.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
STAMP := $(VENV)/.installed
# Films need the package alone: less than half of what the tests need.
FILM_STAMP := $(if $(wildcard $(STAMP)),$(STAMP),$(VENV)/.installed-for-films)
DEMO := build/demo
PIPELINE := build/pipeline
BENCH := build/bench

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format map figures bench pipeline soak audit clean

help:
	@echo "make setup     install everything into $(VENV)"
	@echo "make demo      make a film from examples/fox.yaml; installs only what that needs"
	@echo "make check     format, lint, types, import table, file map, help pages"
	@echo "make test      check, and every test that fits in minutes on a CPU"
	@echo "make format    rewrite the sources in the house's format"
	@echo "make bench     measure speed and memory, with and without every speed-up (let nothing else run)"
	@echo "make pipeline  train a toy model through every stage, and make a film with it"
	@echo "make map       write the file map and the help pages from the sources"
	@echo "make figures   measure the packaged model by the whole suite, and draw the documents' films (an hour)"
	@echo "make soak      the long tests (processes killed, full width, memory), with how long each took"
	@echo "make audit     look up what is installed in the databases of known faults (needs the network)"
	@echo "make clean     remove build products (not $(VENV))"

setup: $(STAMP)

# Torch and the build backend come first, pinned; then the package as it stands in src, nothing built in isolation.
define install
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; install one or set PYTHON=" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) torch hatchling editables
	$(PIP) --no-build-isolation --editable '$(1)'
	@touch $@
endef

$(STAMP): pyproject.toml constraints.txt
	$(call install,.[dev])

$(VENV)/.installed-for-films: pyproject.toml constraints.txt
	$(call install,.)

demo: $(FILM_STAMP)
	@mkdir -p $(DEMO)
	$(BIN)/shotstream generate examples/fox.yaml -o $(DEMO)/fox.mp4 --force
	@echo "film:       $(DEMO)/fox.mp4"
	@echo "storyboard: $(DEMO)/fox.png"

check: $(STAMP)
	$(BIN)/ruff format --check src tests integrations
	$(BIN)/ruff check src tests integrations
	$(BIN)/mypy
	$(BIN)/pytest tests/house

# The page's tests drive Debian's Chromium; elsewhere, or without root, they say so and are skipped.
CHROMIUM = @command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || echo "no chromium: the page's tests are skipped"

# One process a core, of one thread each: two threads of small products mostly wait for each other.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count())')

test: check
	$(CHROMIUM)
	OMP_NUM_THREADS=1 $(BIN)/pytest --ignore=tests/house -m "not soak" -n $(TEST_PROCESSES) --dist loadfile

format: $(STAMP)
	$(BIN)/ruff format src tests integrations
	$(BIN)/ruff check --fix src tests integrations

pipeline: $(STAMP)
	@mkdir -p $(PIPELINE)
	$(BIN)/shotstream train nano/pipeline --out $(PIPELINE)
	$(BIN)/shotstream generate examples/fox.yaml --model $(PIPELINE)/model -o $(PIPELINE)/film.mp4 --force
	@echo "checkpoints and curves: $(PIPELINE)/nano/*"
	@echo "film:                   $(PIPELINE)/film.mp4"

map: $(STAMP)
	$(BIN)/python tests/house/file_map.py
	$(BIN)/python tests/house/help_pages.py

# After new weights: docs/results.md with its pictures, and the storyboards of README and docs/training.md.
figures: $(STAMP)
	$(BIN)/shotstream eval suite storyworld-101
	$(BIN)/shotstream eval report storyworld-101
	$(BIN)/python tests/house/films.py

bench: $(STAMP)
	@mkdir -p $(BENCH)
	$(BIN)/shotstream bench --each --json > $(BENCH)/bench.json
	$(BIN)/shotstream bench --figures $(BENCH)/bench.json
	@echo "figures: $(BENCH)/bench.json"

# Long tests, a line and a duration for each.
soak: $(STAMP)
	$(CHROMIUM)
	$(BIN)/pytest -v -s -m soak --durations=0

# Needs the network; says so and fails where it cannot ask.
audit: $(STAMP)
	@$(BIN)/python tests/house/audit.py

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
