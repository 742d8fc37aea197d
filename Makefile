# Every target sets itself up: nothing but Python 3.11 (or newer) and make is needed.
PYTHON ?= python3
# An index of PyTorch builds, such as that of its builds without CUDA; by default pip's own.
TORCH_INDEX ?=
BIN := .venv/bin
READY := .venv/.ready
TESTS := .venv/.tests
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: book quick pdf teach test test-all lowest sweep check bench bench-check trials lock browser clean help

book: $(READY) ## run the notebooks on the stored tables and render the site
	$(BIN)/python -m modlib book --profile paper

quick: $(READY) ## the same book computed live, from training on, at a small scale
	$(BIN)/python -m modlib book --profile quick

pdf: $(READY) ## the whole book as one PDF beside its pages, from the site that `make book` has rendered
	$(BIN)/python -m modlib pdf

teach: $(READY) ## slides, handouts, keys and an exam, from the chapters that `make book` has run
	$(BIN)/python -m modlib teach

# Two workers with a thread each: with more, they would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
test: browser ## the tests, the built site in a browser included; what takes minutes is left out
	$(PYTEST) -m 'not long'

test-all: browser ## all tests: simulations anew, and runs killed at fifty moments, too
	$(PYTEST)

# Its environment is made anew each time. Python is to be 3.11 or 3.12: there are no such old versions for newer ones.
LOWEST := .venv-lowest/bin
OF_METHOD := $(addprefix tests/test_,$(addsuffix .py,algorithms annealing any_model block_model bounds \
  clustering comparison criteria lesions linkage measures networks nulls optimum planted relaxation)) \
  $(addprefix tests/reporting/test_,$(addsuffix .py,command folder from_files of_model pictures report))
lowest: ## the tests of the method and of reports on the wheel, with the lowest versions that it allows
	$(PYTHON) -m venv --clear .venv-lowest
	$(LOWEST)/pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$$(grep '^torch==' requirements-lowest.txt)"
	$(LOWEST)/pip install --quiet -r requirements-lowest.txt '.[report,bound]' \
	  pytest hypothesis beartype clusim leidenalg networkx pooch scikit-learn
	cd tests && ../$(LOWEST)/python -c 'import modlib; assert ".venv-lowest" in modlib.__file__'
	$(LOWEST)/pytest -q -m 'not long' -o addopts= -o pythonpath=tests -o filterwarnings=default $(OF_METHOD)

sweep: $(READY) ## compute the stored tables anew (a GPU, or hours an experiment)
	for name in base base-v1 close-up untrained wide deep fashion untrained-fashion labels-kept labels-shuffled; do \
	  $(BIN)/python -m modlib run $$name --profile paper || exit; \
	done

check: $(READY) ## verdicts and numbers on record against the stored tables
	$(BIN)/python -m modlib check

bench: browser ## measure how fast modlib is, and put it on record (a quiet machine, two hours)
	for what in training analysis peers report growth search "search --units 256" optima book; do \
	  $(BIN)/python -m benchmarks $$what || exit; \
	done

trials: browser ## try to break it, and put on record what came of it (an hour or more)
	$(BIN)/python -m benchmarks hostile
	$(BIN)/python -m benchmarks.mutation
	$(BIN)/python -m benchmarks suite

bench-check: $(TESTS) ## measure again, in short, and compare with what is on record
	$(BIN)/python -m benchmarks check

# PyTorch and what only PyTorch brings are left out: which of its builds is the right one depends on the machine.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock: $(TESTS) ## renew requirements*.lock, all packages with versions and hashes, after a change of requirements*.txt
	$(COMPILE) requirements.txt | awk '/^[^ ]/ { kept = !/^(torch|triton|nvidia|cuda)/ } kept' > requirements.lock.new
	mv requirements.lock.new requirements.lock
	$(COMPILE) requirements-tests.txt --constraint requirements.lock > requirements-tests.lock.new
	mv requirements-tests.lock.new requirements-tests.lock

# A Chromium of the system does, by one of these names or named in $CHROMIUM; else Playwright brings its own.
browser: $(TESTS)
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do \
	  test -n "$$name" && command -v "$$name" >/dev/null && exit 0; \
	done; $(BIN)/playwright install chromium

clean: ## remove what was built (not the tables, not .venv)
	rm -rf _build book/executed

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A folder that was moved, or whose Python is gone, needs a new environment: its scripts name their old place.
ifneq ($(wildcard $(READY)),)
ifneq ($(shell $(BIN)/python -c '' 2>&1 && cat $(READY)),$(CURDIR))
.PHONY: $(READY)
endif
endif

# The file is written last, and holds the folder: set-up that was interrupted is done again.
$(READY): requirements.txt requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed: name one with  make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo 'Python lacks its venv module: on Debian,  apt-get install python3-venv' >&2; exit 1; }
	@{ test ! -e $@ || test "$$(cat $@)" = '$(CURDIR)'; } && $(BIN)/python -m pip --version >/dev/null 2>&1 || \
	  { echo 'making the environment .venv' && $(PYTHON) -m venv --clear .venv; }
	@rm -f $@
	$(PIP) --require-hashes --no-deps -r requirements.lock
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$$(grep '^torch==' requirements.txt)"
	$(PIP) --no-deps --editable .
	@echo '$(CURDIR)' > $@

$(TESTS): $(READY) requirements-tests.lock
	$(PIP) --require-hashes --no-deps -r requirements-tests.lock
	@touch $@
