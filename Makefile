# Two commands: `make demo` runs the main job on the embedded data set, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: install demo test

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

demo: install
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash configs/demo/run.sh

test: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) -m pytest --numprocesses=2 --dist=loadfile tests
