# Two commands: `make demo` runs the main job on the embedded data set, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# The versions that were tested with this Python, where there is a list of them.
CONSTRAINTS = $(wildcard constraints/python$(shell $(RUN) -c \
	'import sys; print("%d.%d" % sys.version_info[:2])').txt)
PIP_INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS:%=--constraint %)

.PHONY: install demo test

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --requirement requirements.txt
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-hub.txt
	$(PIP_INSTALL) --requirement requirements-dev.txt
	touch $@

demo: install
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash configs/demo/run.sh

test: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder tests
