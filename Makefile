# `make demo` and `make test` need only Python >= 3.11 and make; everything else is installed into .tools and .venv.
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .tools/uv/bin/uv)
RUN := .venv/bin/
SOURCES := contract history enrichment runtime data_gen ml_server agent_server http_bridge console load_test stack python_api conformance bench chaos testing examples clients/vouch_client protos/generate.py protos/lint.py envoy/run.py envoy/check.py distribution/hook.py docs/generate.py docs/grpc_pages.py docs/hooks.py vouch.py \
	test_api.py test_review_transactions.py tests

# Starting a server is mostly imports: 0.9 s with bytecode, 2.4 s without. So bytecode is written even if the shell disables it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: bench bench-history bench-generate bench-ledger bench-parent bench-model bench-real bench-loop bench-policy bench-card-testing bench-install chaos mutations format setup demo up test test-fast coverage check protos docs reference lock clean

setup: .venv/.done  ## prepare .venv

.tools/uv/bin/uv: requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit("Vouch needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .tools/uv || { echo "python3 has no venv: install it (Debian: python3-venv)"; exit 1; }
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-uv.lock

.venv/.done: requirements.lock pyproject.toml | $(filter .tools/%,$(UV))
	@test -x .venv/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@VIRTUAL_ENV=.venv $(UV) pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=.venv $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## generate, train, serve, stream 20 s of orders, stop; KEEP=1 keeps everything running
	@$(RUN)vouch demo $(if $(KEEP),--keep)

up: setup  ## start everything in this terminal
	@$(RUN)vouch up

protos: setup  ## regenerate generated/ from protos/
	@$(RUN)python protos/generate.py

check: setup  ## static checks: format, lint, types, imports, contract, Envoy
	@$(RUN)ruff format --quiet --check $(SOURCES)
	@$(RUN)ruff check --quiet $(SOURCES)
	@$(RUN)mypy $(SOURCES)
	@$(RUN)lint-imports --no-cache
	@$(RUN)python -m testing.plain_language
	@$(RUN)python protos/generate.py --check
	@$(RUN)python protos/lint.py
	@$(RUN)python envoy/check.py

format: setup  ## format the code and apply automatic fixes
	@$(RUN)ruff format --quiet $(SOURCES)
	@$(RUN)ruff check --quiet --fix $(SOURCES)

test: setup  ## checks and tests, in parallel
	@$(MAKE) --no-print-directory check > .check.log 2>&1 & checks=$$!; \
	$(RUN)pytest; tests=$$?; wait $$checks; checked=$$?; cat .check.log; \
	test $$tests = 0 && test $$checked = 0

test-fast: setup  ## only tests that start no processes
	@$(RUN)pytest --fast

coverage: setup  ## tests with line and branch coverage of all processes
	@$(RUN)coverage erase
	@$(RUN)coverage run -m pytest
	@$(RUN)coverage combine --quiet
	@$(RUN)coverage report

mutations: setup  ## inject twenty faults by hand, and check that tests find each
	@$(RUN)python -m testing.mutations

bench: setup  ## compare serving with its baselines; needs h2load, wrk and two cores
	@$(RUN)python -m bench.serving

bench-generate: setup  ## speed of the generator
	@$(RUN)python -m bench.generate

bench-ledger: setup  ## cost of a durable review
	@$(RUN)python -m bench.ledger && $(RUN)python -m bench.recording.agents

bench-parent: setup  ## reviews in one process, compared with the commit before
	@$(RUN)python -m bench.parent

bench-model: setup  ## speed of features and model
	@$(RUN)python -m bench.model

bench-card-testing: setup  ## card testing that is stopped, good orders touched, time added
	@$(RUN)python -m bench.card_testing

bench-policy: setup  ## cost of a policy rule
	@$(RUN)python -m bench.policy

bench-install: setup  ## size and import time of an install with each extra; needs PyPI
	@$(RUN)python -m bench.install

bench-loop: setup  ## effect of feedback on the next model
	@$(RUN)python -m bench.feedback_loop --seeds 2
	@$(RUN)python -m bench.reviewers

bench-history: setup  ## cost and benefit of history, speed of computing it for a table
	@$(RUN)python -m bench.memory.costs && $(RUN)python -m bench.memory.stream

bench-real: setup  ## compare the model with others on real data; needs PyPI
	@$(RUN)python -m bench.real

chaos: setup  ## chaos tests with full counts
	@$(RUN)python -m chaos

docs: setup  ## build the site of the documentation into site/
	@NO_MKDOCS_2_WARNING=1 $(RUN)mkdocs build --strict --quiet

reference: setup  ## write the reference pages that come from the code
	@$(RUN)python docs/generate.py

lock: | $(filter .tools/%,$(UV))  ## pin the dependencies of pyproject.toml
	@$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --output-file requirements.lock
	@echo uv | $(UV) pip compile - --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --output-file requirements-uv.lock

clean:  ## remove build files, but not data, models and ledgers
	@rm -rf .venv .tools site .mypy_cache .ruff_cache .pytest_cache
