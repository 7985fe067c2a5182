# `make help` lists what there is.

PYTHON ?= python3
SERVE ?= 1
PORT ?= 8501
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq

.DEFAULT_GOAL := help
.PHONY: help demo app test lint format messages docs bench lock audit sbom install install-dev chromium

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## install, fetch, run the default study, show it in the browser (SERVE=0: a table only; PORT=8501)
	@$(BIN)/python -m llmrec_core demo --port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve)

app: install ## the app alone: web and worker (PORT=8501)
	@$(BIN)/python -m llmrec_core up --port $(PORT)

test: install-dev chromium ## install what tests need and run them all (ARGS="-k ledger" chooses)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: install-dev ## ruff, mypy and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## put the code in order: layout, imports and what else ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: install-dev ## collect every sentence in assets/locales/llmrec.pot and compile the catalogues
	$(BIN)/python -m tests.messages

docs: install-dev ## build docs/ into .build/docs, strictly and without a network
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs .build/docs
	@echo "open .build/docs/index.html"

bench: install-dev ## every measuring program, quick (FULL=1: as reported)
	@set -e; for program in tests/benchmarks/*.py; do \
		echo "== $$program"; $(BIN)/python $$program --json $(if $(FULL),,--quick); done; \
	for database in sqlite postgresql; do \
		echo "== tests.soak on $$database"; \
		$(BIN)/python -m tests.soak --json --database $$database $(if $(FULL),,--quick); done

lock: install-dev supply ## write requirements.hashes.txt anew: every version with the hashes of its files
	$(BIN)/uv pip compile pyproject.toml --extra login --extra postgres -c requirements.lock \
		--generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
		--no-annotate --custom-compile-command "make lock" -o requirements.hashes.txt --quiet

audit: install-dev supply ## known holes in what is installed; "not checked" where no source answers
	$(BIN)/python -m tests.supply_chain

sbom: install-dev supply ## write .build/sbom.json, the list of parts (CycloneDX)
	@mkdir -p .build
	$(BIN)/python -m cyclonedx_py requirements requirements.hashes.txt --pyproject pyproject.toml \
		--output-reproducible -o .build/sbom.json

.PHONY: supply
supply:
	@$(PIP) -e ".[supply]" -c requirements.lock

install: .venv/installed
install-dev: .venv/installed-dev

.venv/installed: requirements.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing requirements.txt into .venv (a few minutes the first time)"
	@$(PIP) -r requirements.txt -c requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

.venv/installed-dev: .venv/installed pyproject.toml
	@echo "installing what tests, lint and docs need"
	@$(PIP) -e ".[dev,docs,implicit,onnx,pdf,postgres]" -c requirements.lock
	@touch $@

# Browser tests drive Debian's Chromium; without it they are skipped, with the reason.
chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi; \
		echo "installing Chromium for the browser tests"; \
		$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	} || echo "Chromium could not be installed: browser tests will be skipped"
