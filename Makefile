# Two commands: `make demo` runs the main job on the embedded data set, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Installs a list, in the versions that were tested with this Python where there are such.
define install
	constraints=constraints/python$$($(RUN) -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt; \
	$(RUN) -m pip install --quiet --disable-pip-version-check --requirement $(1) \
		$$(if [ -e "$$constraints" ]; then echo --constraint "$$constraints"; fi)
endef

.PHONY: install demo test

install: $(VENV)/.installed

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(call install,requirements.txt)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt requirements-hub.txt
	$(call install,requirements-dev.txt)
	touch $@

demo: install
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash configs/demo/run.sh

test: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(RUN) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder tests
