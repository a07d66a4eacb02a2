# `make demo` and `make test` need nothing but Python >= 3.11 and make; everything else comes into .tools and .venv.
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null || echo .tools/uv/bin/uv)
RUN := .venv/bin/
SOURCES := contract history runtime data_gen ml_server agent_server http_bridge console load_test stack conformance bench chaos testing examples clients/vouch_client protos/generate.py protos/lint.py envoy/run.py envoy/check.py vouch.py \
	test_api.py test_review_transactions.py tests

# A server's start is mostly imports: 0.9 s with bytecode, 2.4 s without. So it is kept, also where the user's shell says no.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: bench bench-history bench-generate bench-ledger bench-model bench-real bench-loop bench-policy chaos mutations format setup demo up test test-fast coverage check protos lock clean

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

check: setup  ## everything that needs no running server
	@$(RUN)ruff format --quiet --check $(SOURCES)
	@$(RUN)ruff check --quiet $(SOURCES)
	@$(RUN)mypy $(SOURCES)
	@$(RUN)lint-imports --no-cache
	@$(RUN)python protos/generate.py --check
	@$(RUN)python protos/lint.py
	@$(RUN)python envoy/check.py

format: setup  ## format and mend what can be mended
	@$(RUN)ruff format --quiet $(SOURCES)
	@$(RUN)ruff check --quiet --fix $(SOURCES)

test: setup  ## the checks and the tests, beside one another
	@$(MAKE) --no-print-directory check > .check.log 2>&1 & checks=$$!; \
	$(RUN)pytest; tests=$$?; wait $$checks; checked=$$?; cat .check.log; \
	test $$tests = 0 && test $$checked = 0

test-fast: setup  ## the tests that start no process
	@$(RUN)pytest --fast

coverage: setup  ## the tests, and which lines and branches they reach, in all processes
	@$(RUN)coverage erase
	@$(RUN)coverage run -m pytest
	@$(RUN)coverage combine --quiet
	@$(RUN)coverage report

mutations: setup  ## twenty faults made by hand: does a test find each
	@$(RUN)python -m testing.mutations

bench: setup  ## serving against its baselines; needs h2load, wrk and two cores
	@$(RUN)python -m bench.serving

bench-generate: setup  ## how fast rows are made
	@$(RUN)python -m bench.generate

bench-ledger: setup  ## what a durable review costs
	@$(RUN)python -m bench.ledger

bench-model: setup  ## how fast features and model are
	@$(RUN)python -m bench.model

bench-policy: setup  ## what a rule costs
	@$(RUN)python -m bench.policy

bench-loop: setup  ## does what comes back make the next model better
	@$(RUN)python -m bench.feedback_loop --seeds 2
	@$(RUN)python -m bench.reviewers

bench-history: setup  ## what memory costs and gives, and how fast a table gets its past
	@$(RUN)python -m bench.memory.costs && $(RUN)python -m bench.memory.stream

bench-real: setup  ## the model beside its peers on real orders; needs PyPI
	@$(RUN)python -m bench.real

chaos: setup  ## full counts of what must not fall over
	@$(RUN)python -m chaos

lock: | $(filter .tools/%,$(UV))  ## pin what pyproject.toml allows
	@$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --output-file requirements.lock
	@echo uv | $(UV) pip compile - --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --output-file requirements-uv.lock

clean:  ## remove what was made, but not data, models and ledgers
	@rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache
