# `make book` and `make test` do all the set-up themselves: Python 3.11 or newer, make and git will do.
PYTHON ?= python3
PROFILE ?= quick
DATASET ?= mnist
METHOD ?= efsgd-prior
EPSILON ?= 10
SEED ?= 0

UV := uv==0.13.9
BIN := .venv/bin
STAMP := .venv/installed
# Tests that share a costly fixture stay in one of the two processes.
TOGETHER := --numprocesses 2 --dist loadgroup

# Training allocates and frees the same large buffers in every round. By default the C library hands
# each one back to the system, which then has to clear the pages anew; keeping them cuts training
# time on a CPU several-fold. No effect elsewhere.
export MALLOC_MMAP_MAX_ := 0
export MALLOC_TRIM_THRESHOLD_ := -1
export MALLOC_TOP_PAD_ := 268435456
# Threads that wait must not spin: beside any other busy process that makes small tensors twenty times
# slower.
export OMP_WAIT_POLICY := passive
# The notebooks must run in this environment, not in a kernel the user installed elsewhere.
export JUPYTER_PREFER_ENV_PATH := 1
unexport JUPYTER_PATH PYTHONPATH VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help book test pytest test-portable test-oldest test-book links verify experiment experiments results audit mutants bench timings lint lock pair clean distclean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: PYTHON=$(PYTHON) PROFILE=$(PROFILE) DATASET=$(DATASET) METHOD=$(METHOD)" \
		"EPSILON=$(EPSILON) SEED=$(SEED)"

book: $(STAMP) ## Run the notebooks and build the book (PROFILE=smoke, quick or paper)
	$(BIN)/python -m companion.book.build execute --profile $(PROFILE)
	@echo "Building the pages: warnings alone are printed, and each one is an error"
	$(BIN)/jupyter-book build -q -W -n --keep-going .
	@find _build/html -name '*.map' -delete # the theme's source maps: a tenth of the site, for debuggers
	@echo "Open _build/html/index.html"

test: $(STAMP) ## Check style and types, run the tests and the doctests
	@$(MAKE) --no-print-directory --jobs 2 lint pytest

pytest: export OMP_NUM_THREADS := 1 # the processes and their children share the cores already
pytest: $(STAMP) ## Run the tests and the doctests alone
	$(BIN)/python -m pytest $(TOGETHER)

test-portable: $(STAMP) ## Run the tests on other instruction sets, with one thread and with two
	@for capability in default avx2 ""; do for threads in 1 2; do \
		echo "ATEN_CPU_CAPABILITY=$${capability:-(unset)} DPGEN_TEST_THREADS=$$threads"; \
		env -u ATEN_CPU_CAPABILITY $${capability:+ATEN_CPU_CAPABILITY=$$capability} \
			DPGEN_TEST_THREADS=$$threads $(BIN)/python -m pytest $(TOGETHER) || exit 1; \
	done; done

test-oldest: $(BIN)/uv ## Run the tests with the oldest supported versions of the packages
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-oldest
	$(BIN)/uv pip install --python .venv-oldest/bin/python --resolution lowest-direct \
		--requirements pyproject.toml --all-extras
	$(BIN)/uv pip install --python .venv-oldest/bin/python --no-deps --no-build-isolation --editable .
	.venv-oldest/bin/python -m pytest $(TOGETHER)

test-book: $(STAMP) ## Open every page of the built book in Chromium, with the network off
	$(BIN)/python -m pytest -m browser tests/test_*_in_a_browser.py

links: $(STAMP) ## Check the book's links to other places (needs the network)
	$(BIN)/jupyter-book build --builder linkcheck .

verify: $(STAMP) ## Check a record: epsilon anew, a short run again (RECORD=results/NAME, RERUN=1)
	$(BIN)/python -m companion.studies.verify $(RECORD) $(if $(RERUN),--rerun)

experiment: $(STAMP) ## Run one experiment (DATASET=, EPSILON=, METHOD=, PROFILE=, SEED=)
	@mkdir -p results/local
	$(BIN)/papermill notebooks/experiment.ipynb results/local/experiment.ipynb \
		-p dataset $(DATASET) -p epsilon $(EPSILON) -p method $(METHOD) \
		-p profile $(PROFILE) -p seed $(SEED)

experiments: $(STAMP) ## Run every committed experiment whose record is missing
	$(BIN)/python -m companion.studies.campaign

results: $(STAMP) ## Write README, statements and tables anew from the records
	$(BIN)/python -m companion.book.statements
	$(BIN)/python -m companion.book.readme
	$(BIN)/python -m companion.book.includes

audit: $(STAMP) ## Attack the guarantee: a million simulated runs, planted faults, membership
	$(BIN)/python -m companion.studies.privacy_audit

mutants: $(STAMP) ## Mutation score of the accounting, the mechanism and its noise (an hour)
	$(BIN)/python -m companion.studies.mutants

bench: $(STAMP) ## Measure speed: against a loop, Opacus, across processes; fit the forecast
	$(BIN)/python -m companion.studies.benchmarks

timings: $(STAMP) ## Time `make test` and `make book` on a fresh clone (an hour)
	$(BIN)/python -m companion.studies.benchmarks metrics test book book-without-data

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache | tail -n 4

lock: $(BIN)/uv ## Pin the versions anew (LOCKFLAGS=--upgrade takes newer ones)
	$(BIN)/uv pip compile --universal --no-header --no-annotate --python-version 3.11 \
		pyproject.toml --all-extras --quiet --output-file requirements.lock $(LOCKFLAGS)

pair: $(STAMP) ## Bring each notebook and its text form in step, without outputs
	$(BIN)/jupytext --sync notebooks/*.py
	$(BIN)/nbstripout notebooks/*.ipynb
	$(BIN)/python -m companion.book.build check-pairs

clean: ## Remove what the build made; records and the environment stay
	rm -rf _build book/_executed book/_generated book/_static/mathjax
	rm -rf book/_static/records book/_static/overview book/_static/*-data.js
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

distclean: clean ## Remove the environment too
	rm -rf .venv .venv-oldest *.egg-info

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, but '$(PYTHON)' is:" \
			"$$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode --requirements requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
