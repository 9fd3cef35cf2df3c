# make run | test | check | soak | clean. Everything that is needed is installed by the targets themselves.
PORT ?= 8080
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATE ?= .state
# Package servers are sometimes slow to answer: three attempts, then the error.
PIP = for n in 1 2 3; do $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1) && break; \
	test $$n = 3 && exit 1; sleep $$((n * 5)); done

.PHONY: run test check soak clean system

run: $(VENV)/.run
	@exec $(BIN)/ecc-controld run --simulate --config config --scenes scenes --state $(STATE) --listen 127.0.0.1:$(PORT)

test: $(VENV)/.dev system
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check src drivers tests
	$(BIN)/ruff format --check src drivers tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/ecc-controld check --config config --scenes scenes

soak: $(VENV)/.dev
	ECC_SOAK=1 $(BIN)/python -m pytest tests/control/test_law_machine.py tests/chaos $(ARGS)

# Chromium and a Chinese font for the panel's tests; nothing is done where they are there already.
system:
	@if ! command -v chromium >/dev/null || ! fc-list 2>/dev/null | grep -qi 'wqy\|noto.*cjk'; then \
	  sudo=; test "$$(id -u)" = 0 || sudo=sudo; \
	  for n in 1 2 3; do \
	    $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq \
	      chromium fonts-wqy-microhei fontconfig >/dev/null && break; \
	    test $$n = 3 && exit 1; sleep $$((n * 5)); done; fi

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed / 需要 Python 3.11 或更新版本")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(call PIP,-e .)
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(call PIP,-e '.[dev]')
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) $(STATE) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
