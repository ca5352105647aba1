# Everything that these targets install or write stays in this folder: .venv for the newest Airflow,
# .environments for all else, demo-output for the demo's videos.

PYTHON ?= python3
OLDEST := .environments/airflow-2.11
# What is measured against, and what draws the picture; aiofiles is what the Databricks provider forgets to ask for.
PEERS := apache-airflow-providers-dbt-cloud apache-airflow-providers-databricks aiofiles matplotlib
# What a distributed Airflow needs besides.
DISTRIBUTED_PACKAGES := apache-airflow-providers-celery apache-airflow-providers-postgres redis psutil cryptography
SERVERS_ARE_THERE := { command -v redis-server && ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1
# What is the same whatever the version of Airflow is: what it sees of one are stores and counts that the tests
# make up, those of each version in turn.
TESTS_WITHOUT_AIRFLOW := tests/api tests/client tests/docs tests/sandbox tests/batch/test_batch_machine.py \
	tests/batch/test_run.py $(addprefix tests/submission/test_, account_lists.py attempt.py evidence.py \
	fingerprint.py identical.py policy.py reconcile.py record.py state_machine.py submitter.py)
UNIT_TESTS := $(filter-out $(TESTS_WITHOUT_AIRFLOW), $(wildcard tests/batch/test_*.py tests/submission/test_*.py)) \
	tests/hooks tests/test_*.py
TASK_TESTS := tests/operators tests/sensors tests/triggers tests/transfers tests/links tests/decorators \
	tests/example_dags tests/saving tests/stored tests/waiting tests/failure_modes
END_TO_END_TESTS := tests/e2e tests/chaos/test_crashes.py

# Python keeps what it has compiled, whatever the environment says: else each process of each Airflow compiles
# thousands of modules anew.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.environments/bytecode

# An installed uv is used; where there is none, one is put into an environment of its own.
UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
UV := .environments/uv/bin/uv
UV_NEEDED := .environments/uv/.installed
endif

.PHONY: help demo ui test test-unit test-tasks test-end-to-end test-oldest matrix test-cell scenarios coverage live-check state-machines soak chaos chaos-oldest chaos-batch chaos-batch-oldest distributed show bench check docs pictures dist format constraints clean
.DELETE_ON_ERROR:

help: ## Say what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: .venv/.installed ## Generate, await and save a video on the local sandbox (REAL=1: at Pictory, for credits)
	@.venv/bin/python scripts/demo.py $(if $(REAL),--real)

ui: .venv/.installed ## Show the examples in Airflow's UI, with the sandbox, until ctrl-C (PORT=8080)
	@.venv/bin/python scripts/ui.py $(if $(PORT),--port $(PORT))

# One for each Airflow, which waits most of its time, and all for the other tests.
test: .venv/.installed ## Run all tests on the newest Airflow
	.venv/bin/python -m pytest --numprocesses 3

test-unit: .venv/.installed ## Run the tests that need neither tasks nor a database, in a minute
	.venv/bin/python -m pytest --numprocesses 2 -m unit $(TESTS_WITHOUT_AIRFLOW) $(UNIT_TESTS)

test-tasks: .venv/.installed ## Run the tests of tasks and DAGs in one process, with dag.test()
	.venv/bin/python -m pytest --numprocesses 2 -m "not unit and not end_to_end"

test-end-to-end: .venv/.installed ## Run the tests that start a whole Airflow
	.venv/bin/python -m pytest --numprocesses 3 $(END_TO_END_TESTS)

test-oldest: $(OLDEST)/.installed ## Run what depends on Airflow's version on the oldest one supported, but no whole Airflow
	$(OLDEST)/bin/python -m pytest --numprocesses 2 $(UNIT_TESTS) $(TASK_TESTS) tests/sandbox/test_connection.py

# The cells are those of scripts/cells.py.
matrix: $(UV_NEEDED) ## Test on each supported Airflow and Python, and write docs/compatibility.md (CELL=3.1: on one)
	$(PYTHON) scripts/matrix.py --uv $(UV) $(CELL)

test-cell: .environments/airflow-$(CELL)/.installed ## Run the tests but those of a whole Airflow on one cell (CELL=3.1)
	.environments/airflow-$(CELL)/bin/python -m pytest --numprocesses 2 --quiet -m "not end_to_end" \
		$(if $(filter all,$(TESTS)),tests,$(UNIT_TESTS) $(TASK_TESTS) tests/sandbox/test_connection.py) \
		$(if $(SHARE),--share $(SHARE)) $(if $(REPORT),--junitxml=$(REPORT))

scenarios: .environments/airflow-$(CELL)/.installed ## Play five scenarios on a whole Airflow of one cell (CELL=3.1)
	.environments/airflow-$(CELL)/bin/python -m tests.e2e.matrix $(if $(RESULTS),--results $(RESULTS))

coverage: .environments/coverage/.installed ## Say which lines and branches of the package, but the sandbox, no test runs
	.environments/coverage/bin/coverage erase
	.environments/coverage/bin/coverage run -m pytest --numprocesses 2 --quiet -m "not end_to_end"
	.environments/coverage/bin/coverage combine --quiet
	.environments/coverage/bin/coverage report

# PICTORY_API_BASE_URL leads to another address than Pictory's.
live-check: .venv/.installed ## Check what we assume about Pictory, with PICTORY_API_KEY (PAID=1: with one clip; SANDBOX=1: try it)
	@.venv/bin/python -m live_check $(if $(PAID),--paid) $(if $(SANDBOX),--sandbox)

# What CI plays in seconds, with other examples each time (SEED=7: with the same ones).
state-machines: .venv/.installed ## Search for crashes that pay twice, at random, for ten minutes (EXAMPLES=5000)
	EXAMPLES=$(or $(EXAMPLES),5000) .venv/bin/python -m pytest --numprocesses 2 \
		$(if $(SEED),--hypothesis-seed=$(SEED)) \
		tests/submission/test_state_machine.py tests/batch/test_batch_machine.py

soak: .venv/.installed ## Let a thousand jobs wait through a storm of faults, for about five minutes
	.venv/bin/python -m tests.chaos.soak

chaos: .venv/.installed ## Kill tasks wherever it could hurt, for a quarter of an hour: each video is paid for once
	.venv/bin/python -m tests.chaos.crashes

chaos-oldest: $(OLDEST)/.installed ## The kills around the paid POST on the oldest Airflow supported
	$(OLDEST)/bin/python -m tests.chaos.crashes_on_oldest

# 200 videos in one task; BATCH="--items 1000 --kills 0 --fewest-kills 0 --without-faults" measures instead.
chaos-batch: .venv/.installed ## Kill and clear a task with 200 videos, for ten minutes: each video is paid for once
	.venv/bin/python -m tests.chaos.batches $(BATCH)

chaos-batch-oldest: $(OLDEST)/.installed ## The same on the oldest Airflow supported
	$(OLDEST)/bin/python -m tests.chaos.batches --oldest $(BATCH)

distributed: .environments/distributed/.installed ## Videos on a distributed Airflow under kills, for a quarter of an hour (DISTRIBUTED=--short: 3 minutes)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! $(SERVERS_ARE_THERE); then \
		apt-get update -qq; DEBIAN_FRONTEND=noninteractive \
		apt-get install -qq --no-install-recommends postgresql redis-server >/dev/null; fi
	.environments/distributed/bin/python -m tests.distributed $(DISTRIBUTED)

show: .venv/.installed ## Show a fault on the real Airflow that it is about (SHOW=M9; a list without it)
	.venv/bin/python -m tests.e2e.shows $(SHOW)

bench: .environments/benchmarks/.installed ## Measure side by side with the peers, for half an hour (BENCH=waiting: one question)
	.environments/benchmarks/bin/python -W ignore -m benchmarks $(BENCH)

check: .venv/.installed ## Lint, check types and imports, build and check the package
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python scripts/check_words.py
	.venv/bin/python scripts/draw_architecture.py --check
	rm -rf dist
	.venv/bin/python -m build --no-isolation --outdir dist . >/dev/null
	.venv/bin/twine check --strict dist/*

docs: .environments/docs/.installed ## Build the site into .environments/docs-html, with warnings as errors, and check its links
	rm -rf .environments/docs-html
	.environments/docs/bin/python -m sphinx --fail-on-warning --keep-going --quiet \
		-d .environments/docs-doctrees docs .environments/docs-html
	.environments/docs/bin/python scripts/check_site.py .environments/docs-html

# The tests of the UI take them on their way, from a whole Airflow with the sandbox.
pictures: .venv/.installed ## Take the pictures of Airflow's UI in docs/images anew, in a headless Chromium
	@for program in chromium chromedriver; do command -v $$program >/dev/null || \
		{ echo "$$program is missing (Debian: chromium chromium-driver)"; exit 1; }; done
	PICTORY_SCREENSHOTS=$(CURDIR)/docs/images .venv/bin/python -m pytest --quiet tests/e2e/test_browser.py \
		-k "plays_the_video or graph_shows"

dist: .venv/.installed $(UV_NEEDED) ## Build wheel and sdist of the last commit and check them (PUBLISH=1: also what only a release needs)
	@.venv/bin/python scripts/dist.py --uv $(UV) $(if $(PUBLISH),--publish)

format: .venv/.installed ## Format the code
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

constraints: $(UV_NEEDED) ## Choose today's versions of all dependencies anew
	$(PYTHON) scripts/cells.py constraints $(UV)
	printf '%s\n' $(PEERS) | \
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--extra sandbox --constraint constraints/airflow-3.3.txt \
		--output-file constraints/benchmarks.txt pyproject.toml -
	# The Celery provider 3.26.0 doesn't work with celery 5.7.0, which kombu 5.7 belongs to.
	printf '%s\n' $(DISTRIBUTED_PACKAGES) 'celery<5.7' 'kombu<5.7' | \
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--extra sandbox --constraint constraints/airflow-3.3.txt \
		--output-file constraints/distributed.txt pyproject.toml -
	# Of what `make check` needs alone, Sphinx asks for an older docutils.
	grep -v '^docutils==' constraints/airflow-3.3.txt | \
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--extra sandbox --group docs --constraint /dev/stdin \
		--output-file constraints/docs.txt pyproject.toml

clean: ## Remove everything that these targets made
	rm -rf .venv .environments demo-output chaos-reports dist live-check-*.md .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.environments/uv/.installed:
	@mkdir -p $(@D)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is $(PYTHON) " + sys.version.split()[0] + ": set PYTHON=...")'
	@$(PYTHON) -m venv .environments/uv || \
		{ echo "$(PYTHON) can't make environments: install its venv module, or uv"; exit 1; }
	.environments/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@

.venv/.installed: pyproject.toml constraints/airflow-3.3.txt $(UV_NEEDED)
	$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' .venv
	$(UV) pip install --quiet --python .venv --constraint constraints/airflow-3.3.txt \
		--editable '.[sandbox]' --group test --group check --group browser
	@touch $@

.environments/coverage/.installed: pyproject.toml constraints/airflow-3.3.txt $(UV_NEEDED)
	$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' $(@D)
	$(UV) pip install --quiet --python $(@D) --constraint constraints/airflow-3.3.txt \
		--editable '.[sandbox]' --group test --group coverage
	@touch $@

.environments/docs/.installed: pyproject.toml constraints/docs.txt $(UV_NEEDED)
	$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' $(@D)
	$(UV) pip install --quiet --python $(@D) --constraint constraints/docs.txt \
		--editable '.[sandbox]' --group docs
	@touch $@

.environments/distributed/.installed: pyproject.toml constraints/distributed.txt $(UV_NEEDED)
	$(UV) venv --quiet --allow-existing --python '>=3.11,<3.14' $(@D)
	$(UV) pip install --quiet --python $(@D) --constraint constraints/distributed.txt \
		--editable '.[sandbox]' $(DISTRIBUTED_PACKAGES)
	@touch $@

# The environments of the matrix, the oldest Airflow's and those of some shows among them.
.environments/airflow-%/.installed: pyproject.toml constraints/airflow-%.txt scripts/cells.py $(UV_NEEDED)
	$(PYTHON) scripts/cells.py install $(UV) $*
	@touch $@

# Without Python 3.13, for which pandas would have to be compiled in the version that Databricks' client asks for.
.environments/benchmarks/.installed: pyproject.toml constraints/benchmarks.txt $(UV_NEEDED)
	$(UV) venv --quiet --allow-existing --python '>=3.11,<3.13' .environments/benchmarks
	$(UV) pip install --quiet --python .environments/benchmarks --constraint constraints/benchmarks.txt \
		--editable '.[sandbox]' $(PEERS)
	@touch $@
