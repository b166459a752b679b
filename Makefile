# `make demo` and `make test` need Python 3.11 to 3.13 and make; everything else they install into .venv.
VENV := .venv
RUN := PYTHONPATH=. TF_CPP_MIN_LOG_LEVEL=2 $(VENV)/bin/python
DEMO := runs/demo
ROBUSTNESS := runs/robustness
FUZZ := runs/fuzz
# Two tests at a time, a file's in one process, and the long files of tests/e2e early.
PYTEST := $(RUN) -m pytest -q --durations=10 -n 2 --dist=loadfile --no-loadscope-reorder
REQUIREMENTS := requirements.txt
CORE := not slow and not long and not faults and not tpu_compile and not interop
CORE_TESTS := tests/losses tests/methods tests/optim tests/networks tests/augment tests/data tests/parity \
	tests/distribute tests/training/test_checkpoints.py tests/e2e/test_replicas.py

.PHONY: help install demo test test-slow test-all test-long test-faults test-latest latest test-tpu test-tpu-build \
	tpu-check tpu-build test-interop interop-check test-wheel docs release notebook lint format clean \
	robustness robustness-images fuzz

help:
	@echo "make install         make the environment .venv"
	@echo "make demo            install, pre-train on the built-in images, evaluate, export: minutes on 2 cores"
	@echo "make test            install, and run the tests that every change needs: under 10 minutes on 2 cores"
	@echo "make test-slow       the other tests"
	@echo "make test-all        both"
	@echo "make test-long       tests that take minutes each, by hand before a release"
	@echo "make test-faults     kills, signals, full disks and lost workers, made to happen: an hour, by hand"
	@echo "make test-latest     the core tests under the newest TensorFlow, Keras and TFDS, in .venv-latest"
	@echo "make test-tpu        compile a tiny step for a TPU, and run it through JAX, in .venv-tpu-check"
	@echo "make test-tpu-build  the core tests under tensorflow-tpu, on the CPU, in .venv-tpu-build"
	@echo "make test-interop    what other programs make of the exports, in .venv-interop"
	@echo "make test-wheel      build the package, install it elsewhere, and run the demo with it for an epoch"
	@echo "make notebook        run notebooks/quickstart.ipynb and store its outputs"
	@echo "make release         check and build a release in dist/, and say what remains to be done by hand"
	@echo "make robustness      thousands of odd flag lines, image files and damaged runs: an hour or two, in $(ROBUSTNESS)"
	@echo "make fuzz            damaged and hostile files for every reader, ten minutes each, in $(FUZZ)"
	@echo "make robustness-images  the images in the source packages of libtiff and scikit-image, through Debian and PyPI"
	@echo "make docs            the documentation as a site, in site/"
	@echo "make lint            ruff, mypy and import-linter"
	@echo "make format          let ruff rewrite the layout of the code"
	@echo "make clean           remove the environments, the site and what Python cached; runs/ stays"

# The first of these that is a Python 3.11 to 3.13 and can make environments.
PYTHONS := $(PYTHON) python3 python3.13 python3.12 python3.11 python
FIND_PYTHON := for p in $(PYTHONS); do \
	if "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	then echo "$$p"; exit 0; fi; done; exit 1

$(VENV)/bin/python:
	@python=$$($(FIND_PYTHON)) || { echo "error: Python 3.11, 3.12 or 3.13 with venv is needed; tried $(PYTHONS)."; exit 2; }; \
	echo "Creating $(VENV) with $$("$$python" --version)"; "$$python" -m venv $(VENV)

$(VENV)/.installed: $(REQUIREMENTS) $(VENV)/bin/python
	@echo "Installing $(REQUIREMENTS) into $(VENV)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing requirements-dev.txt into $(VENV)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

install: $(VENV)/.installed
	@echo "Installed into $(VENV). Activate it: . $(VENV)/bin/activate"

demo: $(VENV)/.installed
	@echo "Pre-training on the built-in data set in $(DEMO)"
	@$(RUN) train.py --flagfile=flags/recipes/shapes_demo.flags --workdir=$(DEMO)
	@$(RUN) evaluate.py --protocol=knn,linear,report,export --probe=cached --workdir=$(DEMO)
	@$(RUN) -m simsiam_tf.cli.show --workdir=$(DEMO)

test: $(VENV)/.installed-dev
	$(PYTEST) -m "$(CORE)"

test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m "slow and not long and not faults and not interop"

test-all: $(VENV)/.installed-dev
	$(PYTEST) -m "not long and not faults and not tpu_compile and not interop"

test-long: $(VENV)/.installed-dev
	$(PYTEST) -m "long"

# One process, in which the commands have the machine for themselves; -s shows the counts.
test-faults: $(VENV)/.installed-dev
	$(RUN) -m pytest -q -s -m "slow or faults" tests/faults

test-wheel: $(VENV)/.installed-dev
	@.ci/try_wheel $(VENV)/bin/python

notebook: $(VENV)/.installed-dev
	@$(RUN) notebooks/execute.py notebooks/quickstart.ipynb

release: $(VENV)/.installed-dev
	@$(RUN) -m release

test-latest:
	@$(MAKE) --no-print-directory VENV=.venv-latest REQUIREMENTS=requirements-latest.txt latest

# Each in an environment of its own, made by this very file under another name.
test-tpu:
	@$(MAKE) --no-print-directory VENV=.venv-tpu-check REQUIREMENTS=requirements-tpu-check.txt tpu-check

test-tpu-build:
	@$(MAKE) --no-print-directory VENV=.venv-tpu-build REQUIREMENTS=requirements-tpu.txt tpu-build

test-interop:
	@$(MAKE) --no-print-directory VENV=.venv-interop REQUIREMENTS=requirements-interop-check.txt interop-check

latest: $(VENV)/.installed
	@$(VENV)/bin/python -m pip list 2>/dev/null | grep -iE "^(tensorflow|keras|tensorflow-datasets) "
	$(PYTEST) -m "$(CORE)" $(CORE_TESTS)

tpu-check: $(VENV)/.installed
	$(RUN) -m pytest -q -m tpu_compile

interop-check: $(VENV)/.installed
	@# PyTorch first: loaded after TensorFlow, torchvision crashes.
	$(RUN) -m pytest -q -p torch -p torchvision -m interop

tpu-build: $(VENV)/.installed
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check pytest
	TPU_SKIP_MDS_QUERY=1 $(RUN) -m pytest -q -m "$(CORE) and not host_xla" $(CORE_TESTS)

# Each goes on where it was stopped.
robustness: $(VENV)/.installed
	@$(RUN) benchmarks/robustness/flag_lines.py --folder=$(ROBUSTNESS)
	@$(RUN) benchmarks/robustness/odd_images.py --folder=$(ROBUSTNESS)
	@$(RUN) benchmarks/robustness/starts.py --folder=$(ROBUSTNESS)
	@$(RUN) benchmarks/robustness/damaged_runs.py --folder=$(ROBUSTNESS)

fuzz: $(VENV)/.installed-dev
	@$(RUN) -m tests.fuzz.run --target=all --minutes=10 --folder=$(FUZZ)

robustness-images: $(VENV)/.installed
	@sh benchmarks/robustness/fetch_sources.sh $(ROBUSTNESS)/sources $(VENV)/bin/python
	@$(RUN) benchmarks/robustness/odd_images.py --folder=$(ROBUSTNESS) --also $(ROBUSTNESS)/sources/images

# The variable turns off what the theme says of its successor. With --quiet, warnings would not be errors.
docs: $(VENV)/.installed-dev
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo "The site is in site/. To read it: $(VENV)/bin/python -m http.server --directory site, then http://localhost:8000"

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:
	rm -rf $(VENV) .venv-tpu-check .venv-tpu-build .venv-latest .venv-interop site .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
