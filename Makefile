# make run     installs what is needed into .venv and opens the dashboard
# make host    the same for a network: UNROLLED_HOST_CODE is the instructor's code
# make test    installs what the tests need, the browser and PostgreSQL included, and runs all of them

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501
# The first of these that is Python 3.11 to 3.13; PYTHON=… overrides it.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$python && break; done)
HOLD := --quiet --disable-pip-version-check

.PHONY: setup run host dev test lint bench load tabs chaos screenshots
.DEFAULT_GOAL := run

setup: $(VENV)/.installed

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Unrolled needs Python 3.11, 3.12 or 3.13, and found none on the PATH." \
		"Install one, or name it: make run PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/.python
	@echo "Installing into $(VENV); the first time takes a minute or two."
	@$(BIN)/pip install $(HOLD) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-ray.txt $(VENV)/.installed
	@$(BIN)/pip install $(HOLD) -r requirements-dev.txt
	@touch $@

$(VENV)/.browser: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.install_browser
	@touch $@

$(VENV)/.servers: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.install_servers
	@touch $@

run: setup
	@$(BIN)/streamlit run app/main.py --server.port $(PORT)

host: setup
	@PORT=$(PORT) $(BIN)/python -m app.hosting

# A server that reloads edited code; not for a room full of people.
dev: setup
	@UNROLLED_DEV=1 $(BIN)/streamlit run app/main.py --server.port $(PORT) --server.fileWatcherType auto

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

test: lint $(VENV)/.browser $(VENV)/.servers
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

bench: setup
	@$(BIN)/python -m benchmarks

# A server of its own with a room full of people on it: N attendees for so many seconds.
N ?= 50
SECONDS ?= 300
load: $(VENV)/.installed-dev
	@$(BIN)/python -m benchmarks.load --attendees $(N) --seconds $(SECONDS)

# The same in 20 tabs of a real browser, for a minute.
tabs: $(VENV)/.browser
	@$(BIN)/python -m benchmarks.tabs

# Kills, a full disk, a locked store and lost connections, while ten attendees work.
MINUTES ?= 10
chaos: $(VENV)/.installed-dev
	@$(BIN)/python -m benchmarks.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

screenshots: $(VENV)/.browser
	@$(BIN)/python -m tests.screenshots
