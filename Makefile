# A fresh machine needs Python 3.11 or newer, git and make. Every target can be run first, and twice.
#   make repro   the whole pipeline, then success by architecture
#   make test    the tests; make test-fast   those that answer within a minute; make test-films   Vulkan's
#   make demo    the same pipeline in a small profile
#   make lock [UPGRADE=--upgrade]   the exact versions in requirements/, after a change of pyproject.toml
#   make gpu-check   what a GPU does, held against the CPU, and measured
#   make wheel-check   the wheel in an environment of its own: the README's first commands
#   make docs    the documentation as a site, in build/site
#   make bench   how fast commands are, on the artifacts of make repro

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
LOCK := $(wildcard requirements/*.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
LOCKED := $(PIP) --require-hashes --requirement
DEMO := build/demo
GATE := --arch 64,48 --arch 248,252,256 --arch 256,256,256,256
PROFILE := --params profiles/demo.yaml
TESTERS := $(shell echo $$(( $$(nproc) < 8 ? $$(nproc) + 1 : 8 )))

export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: env repro demo gpu-check docs bench report-pictures test test-fast test-films test-campaign wheel-check lint types format clean

env: $(READY)

# Every file is held against its hash. A build of torch for CPUs is taken where pip's configuration
# offers one, else the one for GPUs.
$(READY): pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) requirements/build.txt
	$(LOCKED) requirements/environment.txt
	$(LOCKED) requirements/torch-cpu.txt || \
		(echo "no build of torch for CPUs here: taking the one for GPUs"; \
		$(LOCKED) requirements/torch-cuda.txt)
	$(PIP) --editable .
	$(BIN)/python -m pip check
	touch $@

# Keeps the versions that are locked and still fit; UPGRADE=--upgrade takes the newest. It can't wait
# for an environment of the old lock, in which something new may be missing.
.PHONY: lock
lock:
	test -x $(BIN)/uv || $(MAKE) env
	$(BIN)/python requirements/renew.py $(UPGRADE)

repro: env
	$(BIN)/dvc repro
	$(BIN)/nnit inspect artifacts/rollouts

demo: env
	rm -rf $(DEMO)
	$(BIN)/nnit demos $(PROFILE) --out $(DEMO)/demos
	$(BIN)/nnit ghn-train $(DEMO)/demos $(PROFILE)
	$(BIN)/nnit zoo-export $(DEMO)/ghn $(PROFILE)
	$(BIN)/nnit tokenize $(DEMO)/zoo $(PROFILE)
	$(BIN)/nnit diffuse-train $(DEMO)/tokens --demos $(DEMO)/demos $(PROFILE)
	$(BIN)/nnit sample --model $(DEMO)/generator $(GATE) --out $(DEMO)/gate-samples $(PROFILE)
	$(BIN)/nnit rollout $(DEMO)/gate-samples --episodes 20 --first-seed 700000 --min-success 0.9 \
		--out $(DEMO)/gate $(PROFILE)
	$(BIN)/nnit sample --model $(DEMO)/generator --held-out $(PROFILE)
	$(BIN)/nnit rollout $(DEMO)/samples --ghn $(DEMO)/ghn $(PROFILE)

# A warning is an error: of a link that leads nowhere, say.
docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Needs a GPU; takes some minutes.
gpu-check: env
	$(BIN)/python -m tests.gpu results/gpu.json

# Everything that nnit needs is installed anew; nothing of this checkout is seen.
wheel-check: env
	rm -rf build/wheel build/lib
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	$(MAKE) env VENV=build/wheel/env
	build/wheel/env/bin/python -m pip uninstall --quiet --yes nnit
	build/wheel/env/bin/python -m pip install --quiet --no-deps build/wheel/nnit-*.whl
	cd build/wheel && env/bin/nnit sample --task PickCube-v1 --arch 128,256,128
	cd build/wheel && env/bin/nnit rollout --episodes 20 --min-success 0.9

# On the artifacts of `make repro`, with nothing else running on the machine.
bench: env
	$(BIN)/python -m benchmarks.measure results/benchmarks.json

# Of the artifacts of `make demo`, in Debian's chromium.
report-pictures: env
	$(BIN)/nnit report $(DEMO)
	$(BIN)/python -m docs.report_pictures build/report.html docs/figures

# One process a core and one more, since tests of kills and signals wait; one thread in each: small
# matrices are slower with more. Files go in their own order: by the number of their tests, as is the
# default, the slowest would come last, alone.
test: env
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(TESTERS) --dist loadfile \
		--no-loadscope-reorder

# For the inner loop: without commands, physics and long trainings.
test-fast: env
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(TESTERS) --dist loadfile \
		-m "not slow and not seconds and not sim and not commands"

# What needs a Vulkan device; `make test` leaves it out where there is none.
test-films: env
	$(BIN)/nnit doctor | grep "Vulkan *draws"
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/rollout/test_filming.py \
		tests/e2e/test_docs_pages.py -k "filmed_robot or first_screen"

# Under 30 minutes on two cores; 1 if any attack succeeds. docs/security.md has the table.
test-campaign: env
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.campaign --out results/campaign.json

lint: env
	$(BIN)/hadolint Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: env
	$(BIN)/pyright

format: env
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Artifacts and DVC's cache stay: they cost minutes of computing.
clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
