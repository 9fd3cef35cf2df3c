# make run | test | check | soak | install | uninstall | deb | wheelhouse | clean. Everything that is needed is installed by the targets themselves.
PORT ?= 8080
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STATE ?= .state
# Package servers are sometimes slow to answer: three attempts, then the error.
PIP = for n in 1 2 3; do $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1) && break; \
	test $$n = 3 && exit 1; sleep $$((n * 5)); done

# make install: PREFIX has the programs and units, ENVDIR the environment; WHEELHOUSE=dir: without the internet.
PREFIX ?= /usr/local
ENVDIR ?= /opt/ecc-controld
DESTDIR ?=
WHEELHOUSE ?=
# make deb: ARCH=amd64 or arm64, for Debian's python$(DEB_PYTHON).
ARCH ?= $(shell dpkg --print-architecture 2>/dev/null)
DEB_PYTHON ?= 3.11
# make wheelhouse
MACHINES ?= x86_64 aarch64
PYTHONS ?= 3.11 3.12

.PHONY: run test check soak clean system install uninstall deb wheelhouse

run: $(VENV)/.run
	@exec $(BIN)/ecc-controld run --simulate --config config --scenes scenes --state $(STATE) --listen 127.0.0.1:$(PORT)

test: $(VENV)/.dev system $(BIN)/promtool
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check src drivers tests deploy
	$(BIN)/ruff format --check src drivers tests deploy
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/ecc-controld check --config config --scenes scenes

soak: $(VENV)/.dev
	ECC_SOAK=1 $(BIN)/python -m pytest tests/control/test_law_machine.py tests/faults tests/chaos \
		tests/service/test_restarts.py $(ARGS)

install: $(VENV)/.dev
	$(BIN)/python deploy/tree.py install --destdir "$(or $(DESTDIR),/)" --prefix "$(PREFIX)" --env "$(ENVDIR)" \
	  $(if $(WHEELHOUSE),--wheelhouse "$(WHEELHOUSE)")

uninstall: $(BIN)/python
	$(BIN)/python deploy/tree.py uninstall --destdir "$(or $(DESTDIR),/)" --prefix "$(PREFIX)" --env "$(ENVDIR)"

deb: $(VENV)/.dev
	$(BIN)/python deploy/deb.py --arch "$(ARCH)" --python "$(DEB_PYTHON)" \
	  $(if $(WHEELHOUSE),--wheels "$(WHEELHOUSE)")

wheelhouse: $(VENV)/.dev
	$(BIN)/python deploy/wheelhouse.py $(foreach m,$(MACHINES),--machine $(m)) $(foreach p,$(PYTHONS),--python $(p))

# Chromium and a Chinese font for the panel's tests, systemd for the service's; nothing is done where they are there.
system:
	@if ! command -v chromium >/dev/null || ! fc-list 2>/dev/null | grep -qi 'wqy\|noto.*cjk' \
	  || ! command -v systemd-socket-activate >/dev/null; then \
	  sudo=; test "$$(id -u)" = 0 || sudo=sudo; \
	  for n in 1 2 3; do \
	    $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq \
	      chromium fonts-wqy-microhei fontconfig systemd >/dev/null && break; \
	    test $$n = 3 && exit 1; sleep $$((n * 5)); done; fi

# The checker of alert rules, taken out of Debian's package: installing that would start a Prometheus on this machine.
$(BIN)/promtool: | $(BIN)/python
	@if command -v promtool >/dev/null; then ln -sf "$$(command -v promtool)" $@; else \
	  for n in 1 2 3; do \
	    (cd $(VENV) && apt-get download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb \
	      | tar -x -C bin --strip-components=3 ./usr/bin/promtool && rm prometheus_*.deb) && break; \
	    test $$n = 3 && exit 1; sleep $$((n * 5)); \
	    if test "$$(id -u)" = 0; then apt-get update -qq; else sudo apt-get update -qq; fi; done; fi

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
