# make demo   install, fetch, run the default study, show it in the browser (SERVE=0: without the web; PORT=8501)
# make app    the app alone: web and worker
# make test   install what tests need and run them all (ARGS="-k ledger" chooses)
# make lint   ruff and mypy
# make bench  every measuring program, quick (FULL=1: as reported)

PYTHON ?= python3
SERVE ?= 1
PORT ?= 8501
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq

.DEFAULT_GOAL := demo
.PHONY: demo app test lint bench install install-dev chromium

demo: install
	@$(BIN)/python -m llmrec_core demo --port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve)

app: install
	@$(BIN)/python -m llmrec_core up --port $(PORT)

test: install-dev chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install-dev
	@set -e; for program in tests/benchmarks/*.py tests/soak.py; do \
		echo "== $$program"; $(BIN)/python $$program --json $(if $(FULL),,--quick); done

install: .venv/installed
install-dev: .venv/installed-dev

.venv/installed: requirements.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing requirements.txt into .venv (a few minutes the first time)"
	@$(PIP) -r requirements.txt -c requirements.lock
	@touch $@

.venv/installed-dev: .venv/installed pyproject.toml
	@echo "installing what tests need"
	@$(PIP) -e ".[dev,postgres,onnx]" -c requirements.lock
	@touch $@

# Browser tests drive Debian's Chromium; without it they are skipped, with the reason.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi; \
		echo "installing Chromium for the browser tests"; \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	} || echo "Chromium could not be installed: browser tests will be skipped"
