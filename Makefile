# `make figures`, `make report` and `make test` do all set-up: a virtual environment with the locked versions, made once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all
REPORT ?= results/report.html
KILLS ?= 50
BENCHMARK_OUT ?= results/benchmarks
MINUTES ?= 25
CHECK_OUT ?= results/check-gpu
ARCHIVES ?=
SMALL ?=
COMMANDS ?= make figures CONFIG=smoke=true && make test
CONFIG ?=
SNAKEMAKE ?= 9.16.0
WHEELHOUSE ?= wheelhouse
OFFLINE ?=
HAVE ?=
EXTRAS ?=
VERSION ?=
VERBOSE ?=

# With OFFLINE=1, all comes from the wheels that `make wheelhouse` has collected, and from the machine, if its packages were counted on.
MACHINE := $(if $(OFFLINE),$(wildcard $(WHEELHOUSE)/machine.txt))
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --compile \
	$(if $(OFFLINE),--no-index --find-links $(WHEELHOUSE),--constraint $(or $(1),requirements.lock))

# Meant for other programs. With warnings as errors, say, Snakemake itself would not start, nor Matplotlib with a notebook's backend.
unexport PYTHONWARNINGS PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONINSPECT PYTHONDEVMODE PYTHONWARNDEFAULTENCODING PYTHONHOME MPLBACKEND

.PHONY: figures report test test-slurm test-debian test-snakemake test-latest test-editor test-cuda soak check-gpu check-gpu-data smoke test-peers benchmark-peers known-number package release picture notebooks findings controls optimizers lint format benchmark docs lock wheelhouse clean

# VERBOSE=1 shows each job with its command, and all else that Snakemake says.
figures: $(VENV)/figures.stamp
	@$(BIN)/snakemake --profile profiles/local --cores $(CORES) $(if $(VERBOSE),-p) figures $(if $(CONFIG),--config $(CONFIG))

report: $(VENV)/figures.stamp
	@$(BIN)/snakemake --profile profiles/local --cores $(CORES) $(if $(VERBOSE),-p) report
	@$(BIN)/snakemake --profile profiles/local $(if $(VERBOSE),-p) report --report $(REPORT)
	@echo "The report is $(REPORT)"

# A file is tested in one process, for its fixtures' sake; the slowest files first, so that all processes end together. (`tests`
# after its folders would have pytest sort them all by name.)
SLOW := tests/workflow tests/training tests/methods
OTHERS := $(filter-out $(SLOW:=/) tests/__pycache__/,$(sort $(wildcard tests/*/))) $(wildcard tests/test_*.py)
test: lint
	$(BIN)/pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(SLOW) $(OTHERS)

# The profile for clusters on a real Slurm, started for each test in namespaces: needs root, and Debian's slurmctld, slurmd,
# slurm-client, munge and iproute2. Most of the time is spent waiting, and more processes than cores do no harm.
test-slurm: $(VENV)/dev.stamp
	$(BIN)/pytest -m slurm -n 3 tests/slurm

# Steps as a GPU gets them, compiled by JAX's CUDA plugin (0.5 GB, in a folder of its own), which needs no GPU for that. Where it
# cannot be had the tests are skipped, and say so.
test-cuda: $(VENV)/dev.stamp
	test requirements.lock -ot $(VENV)/cuda || $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps \
		--constraint requirements.lock --target $(VENV)/cuda jax-cuda12-plugin jax-cuda12-pjrt || echo "JAX's CUDA plugin cannot be had"
	JAX_PLATFORMS=cpu XLA_FLAGS=--xla_gpu_enable_triton_gemm=false PYTHONPATH=$(CURDIR)/$(VENV)/cuda \
		$(BIN)/pytest -m cuda -n 2 tests/cuda

# What an editor completes and marks in a study, by the language server that it would ask: needs npm.
test-editor: $(VENV)/dev.stamp
	npm install --silent --no-save --prefix $(VENV)/editor yaml-language-server@1.25.0
	PATH="$(CURDIR)/$(VENV)/editor/node_modules/.bin:$$PATH" $(BIN)/pytest -m editor tests/editor

# What the README promises of a fresh machine, with the study in small, on a bare Debian 13 (Python 3.13) made for it: needs root
# and debootstrap. All of the study: make test-debian COMMANDS='make figures && make test'; tests/debian.sh has the rest.
test-debian:
	sh tests/debian.sh '$(COMMANDS)'

# The workflow with another Snakemake than the locked one: the oldest that pyproject.toml allows, or SNAKEMAKE=9.27.1.
test-snakemake: $(VENV)/dev.stamp
	grep -v '^snakemake==' requirements.lock >$(VENV)/others.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --constraint $(VENV)/others.lock \
		--target $(VENV)/snakemake-$(SNAKEMAKE) snakemake==$(SNAKEMAKE)
	PYTHONPATH=$(CURDIR)/$(VENV)/snakemake-$(SNAKEMAKE) $(BIN)/pytest -n 2 --dist loadfile \
		$(addprefix tests/workflow/test_,plan.py run.py packed.py report.py uncommon.py)

# With the newest release of everything, in an environment of its own.
test-latest:
	$(PYTHON) -m venv --clear $(VENV)-latest
	$(VENV)-latest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --editable '.[dev]'
	$(VENV)-latest/bin/pytest -n auto --maxprocesses 8 --dist loadfile

# Kills a small study fifty times at random moments, and one at each rule, and compares its results with those of one left alone.
soak: $(VENV)/dev.stamp
	KILLS=$(KILLS) $(BIN)/pytest -m soak -s tests/workflow/test_kill.py tests/workflow/test_kill_rules.py

# What this project does on a GPU that it has not been tried on, in so many minutes and without a network. SMALL=1 tries it on a CPU.
check-gpu: $(VENV)/figures.stamp
	@$(BIN)/python -m benchmarks.check_gpu --minutes $(MINUTES) --out $(CHECK_OUT) $(if $(SMALL),--small)

# What its study trains on, where there is a network, or ARCHIVES=FOLDER with those of Fashion-MNIST.
check-gpu-data: $(VENV)/figures.stamp
	$(INSTALL) --editable '.[prepare]'
	$(BIN)/python -m benchmarks.check_gpu --prepare --out $(CHECK_OUT) $(if $(ARCHIVES),--archives $(ARCHIVES))

# Each study of config/ in small, from nothing to its figures: an hour or two.
smoke: $(VENV)/dev.stamp
	$(BIN)/pytest -m soak tests/workflow/test_smoke.py

# The models against PyTorch's, every measured number against curvlinops, and a real step of every method on each of the large models.
test-peers: $(VENV)/peers.stamp
	$(BIN)/pytest -m peers tests/peers

# Training steps against PyTorch's, curvature against three libraries for it. BENCHMARK_OUT=docs/performance renews what the docs have.
benchmark-peers: $(VENV)/peers.stamp
	$(BIN)/python -m benchmarks.peers --out $(BENCHMARK_OUT)
	$(BIN)/python -m benchmarks.peers.operators --out $(BENCHMARK_OUT)

# Two small networks on all of Fashion-MNIST (downloaded), beside what others publish: ten minutes.
known-number: $(VENV)/dev.stamp
	$(BIN)/snakemake --profile profiles/local --cores $(CORES) all --configfile config/known_number.yaml
	$(BIN)/python benchmarks/known_number.py --out $(BENCHMARK_OUT)

# An sdist with all of the project, a wheel made from it, and both tried in an environment of their own.
package: $(VENV)/dev.stamp
	rm -rf dist build/lib build/bdist.*
	$(BIN)/python -c "from setuptools import build_meta; build_meta.build_sdist('dist')" >/dev/null
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist dist/*.tar.gz
	$(PYTHON) -m venv --clear $(VENV)-package
	$(VENV)-package/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock dist/*.whl
	cd $(VENV)-package && bin/python -c "import importlib, pkgutil, nmepkg; \
		[importlib.import_module(module.name) for module in pkgutil.walk_packages(nmepkg.__path__, 'nmepkg.')]"
	cd $(VENV)-package && rm -rf mine && bin/python -m nmepkg new mine && cd mine && ../bin/snakemake --config smoke=true
	@ls -l dist

# A release: everything says one version, sdist and wheel are built and tried, the default study's results (computed, where they are
# missing) are beside them in one archive. Nothing is tagged or sent: the last lines say how. VERSION=0.2.0
release: $(VENV)/dev.stamp
	$(BIN)/python tools/release.py check $(VERSION)
	$(MAKE) figures package CONFIG=
	$(BIN)/python -m nmepkg export config/config.yaml dist/results-$(VERSION).tar.xz
	$(BIN)/python tools/release.py say $(VERSION)

# The picture of README.md, from the default study's figures, small.
picture: $(VENV)/figures.stamp
	$(BIN)/python -c "from PIL import Image; image = Image.open('results/figures/mnist1d/figure_8.png'); image.thumbnail((1000, 1000)); \
		image.convert('RGB').quantize(64).save('docs/images/figure_8.png', optimize=True)"

# The notebooks of examples/ anew, with what they print and draw. `make test` runs them in small.
notebooks: $(VENV)/dev.stamp
	$(INSTALL) --editable '.[notebooks]'
	$(BIN)/python examples/run.py

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules nmepkg/template
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/snakemake -n --lint

# The tables and pictures of docs/findings.md, from the default study: its results are copied into docs/findings/.
findings: $(VENV)/figures.stamp
	$(BIN)/snakemake --profile profiles/local --cores $(CORES) report
	$(BIN)/python -m nmepkg.analysis.findings results mnist1d docs/findings.md

# The same of docs/controls.md, from the controls: more than an hour.
controls: $(VENV)/figures.stamp
	$(BIN)/snakemake --profile profiles/local --cores $(CORES) report --config study=config/controls.yaml
	$(BIN)/python -m nmepkg.analysis.findings results controls docs/controls.md

# The same of docs/optimizers.md.
optimizers: $(VENV)/figures.stamp
	$(BIN)/snakemake --profile profiles/local --cores $(CORES) report --config study=config/optimizers.yaml
	$(BIN)/python -m nmepkg.analysis.findings results optimizers docs/optimizers.md

# The documentation as a site, from docs/, README.md and the docstrings: needs no network, and shows without one. A link that leads
# nowhere, or a docstring that cannot be set, ends it.
docs: $(VENV)/docs.stamp
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -j auto -d build/doctrees -c docs . build/site
	cp build/site/README.html build/site/index.html
	@echo "The site is build/site/index.html"

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m nmepkg.study.reference
	$(BIN)/python docs/picture.py
	$(BIN)/snakefmt Snakefile workflow/rules nmepkg/template

benchmark: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.step_cost
	$(BIN)/python -m benchmarks.xla_flags --out $(BENCHMARK_OUT)
	$(BIN)/python -m benchmarks.compiling --out $(BENCHMARK_OUT)
	$(BIN)/python benchmarks/augmentation.py
	$(BIN)/python benchmarks/input_pipeline.py
	$(BIN)/python -m benchmarks.products
	$(BIN)/python benchmarks/training_loop.py
	$(BIN)/python benchmarks/checkpoints.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/workflow.py --out $(BENCHMARK_OUT)

# Needs uv. One version of each package for every Python from 3.11 on (fewest), so that all compute the same numbers. What the lock
# has stays as it is where that still fits; delete it first for the newest of all.
lock:
	uv pip compile --universal --fork-strategy fewest --python-version 3.11 --extra dev --extra docs --extra notebooks --extra cuda --extra cuda13 --no-emit-index-url --quiet \
		--output-file requirements.lock pyproject.toml

# For a machine without a network: the wheels that it lacks, to carry there, where `make figures OFFLINE=1` installs them. PYTHON=3.12 is its
# version of Python, HAVE=FILE its `pip list --format=freeze`; without that, it is taken to have nothing. EXTRAS=dev,slurm adds those.
wheelhouse: COLLECTOR = $(or $(shell command -v $(PYTHON)),python3)
wheelhouse:
	$(call new_enough,$(COLLECTOR))
	$(COLLECTOR) -m venv $(VENV)-wheelhouse
	$(VENV)-wheelhouse/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock packaging
	$(VENV)-wheelhouse/bin/python containers/wheelhouse.py $(if $(shell command -v $(PYTHON)),,--python $(PYTHON)) \
		$(if $(HAVE),--have $(HAVE)) $(if $(EXTRAS),--extras $(EXTRAS)) --out $(WHEELHOUSE)

# Results stay: they are what `make figures` would not compute again.
clean:
	rm -rf $(VENV) build *.egg-info .snakemake .pytest_cache .ruff_cache .mypy_cache

new_enough = @$(1) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, but $(1) is %d.%d: call make PYTHON=/path/to/python3.11" % sys.version_info[:2])'

# Bytecode is compiled whatever PYTHONDONTWRITEBYTECODE says: without it, each training starts two seconds later.
$(VENV)/figures.stamp: requirements.lock pyproject.toml
	$(call new_enough,$(PYTHON))
	@$(PYTHON) -c 'import shutil, sys; sys.version_info < (3, 14) or shutil.which("cc") or sys.exit("Python 3.14 and newer need a C compiler and the headers of Python (on Debian gcc and python3-dev), as immutables, which Snakemake uses, is compiled for them: install those, or call make PYTHON=/path/to/python3.13")'
	@test -z "$(OFFLINE)" || test -n "$(firstword $(wildcard $(WHEELHOUSE)/*.whl))" || \
		{ echo 'There are no wheels in $(WHEELHOUSE), from which OFFLINE=1 installs: collect them where there is a network, by make wheelhouse' >&2; exit 1; }
	@echo 'Installing the locked packages into $(VENV), about a minute …'; # the shell's own echo, whatever PATH is
	@test -x $(BIN)/python || $(PYTHON) $(if $(MACHINE),containers/beside.py,-m venv) $(VENV)
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/figures.stamp
	$(INSTALL) --editable '.[dev]'
	touch $@

$(VENV)/docs.stamp: $(VENV)/figures.stamp
	$(INSTALL) --editable '.[docs]'
	touch $@

# PyTorch brings libraries for GPUs of its own, and other versions of them than JAX's, which are locked.
$(VENV)/peers.stamp: $(VENV)/dev.stamp
	grep -v '^nvidia-' requirements.lock >$(VENV)/peers.lock
	$(call INSTALL,$(VENV)/peers.lock) --editable '.[peers]'
	touch $@
