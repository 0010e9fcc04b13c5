# Every target works on a fresh machine that has python3 >= 3.11, make and git.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
PARTS  := kernel contracts $(sort $(wildcard packages/* plugins/*))
SOURCES := $(foreach part,$(PARTS),$(part)/src)
TESTS   := tests $(wildcard $(addsuffix /tests,$(PARTS)))
EMPTY  :=
SPACE  := $(EMPTY) $(EMPTY)
STAMPS := install.py pyproject.toml constraints.txt $(foreach part,$(PARTS),$(part)/pyproject.toml)
NEED_PYTHON = @test -n "$(PYTHON)" || { echo "Locutory needs Python 3.11, 3.12 or 3.13, and none was found." \
	"If one has another name: make PYTHON=/path/to/python3.12"; exit 1; }

.PHONY: help run install test slow cover lint fix bench docs constraints clean

.DEFAULT_GOAL := help

help: ## what there is to run
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

$(VENV)/.installed: $(STAMPS)
	$(NEED_PYTHON)
	@$(PYTHON) install.py
	@touch $@

$(VENV)/.developer: $(STAMPS) tests/oracle/package.json
	$(NEED_PYTHON)
	@$(PYTHON) install.py --dev
	@touch $@ $(VENV)/.installed

# Also the packages that an installation does not have by default.
$(VENV)/.everything: $(STAMPS) tests/oracle/package.json
	$(NEED_PYTHON)
	@$(PYTHON) install.py --dev --all
	@touch $@ $(VENV)/.developer $(VENV)/.installed

install: $(VENV)/.installed ## all plugins, into .venv

run: $(VENV)/.installed ## start the server on http://localhost:3080
	@$(BIN)/locutory serve

test: $(VENV)/.developer ## every test but the slow ones
	@$(BIN)/python -m pytest -q -n 4 -m "not slow"

slow: $(VENV)/.everything ## fuzzing, recordings with plugins off, worker processes, identity providers, timing
	@$(BIN)/python -m pytest -q -n 2 -m slow --durations=20

cover: $(VENV)/.developer ## the tests, and which lines none of them reaches
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -n 4 -m "not slow"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered

lint: $(VENV)/.developer ## style, types, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@MYPYPATH=.:docs:$(subst $(SPACE),:,$(SOURCES)) $(BIN)/mypy $(SOURCES) $(TESTS) docs install.py
	@$(BIN)/python tests/architecture/imports.py

fix: $(VENV)/.developer ## format, and mend what can be mended
	@$(BIN)/ruff check --fix-only --exit-zero --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/.developer ## costs as ratios to bare handlers, in one run
	@$(BIN)/python -m tests.bench

docs: $(VENV)/.installed ## generate docs/reference and the example configuration
	@$(BIN)/python docs/generate.py

constraints: $(VENV)/.developer ## choose the newest versions again
	@$(BIN)/python docs/constraints.py

clean: ## remove .venv and what tools have left
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
