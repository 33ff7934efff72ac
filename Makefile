# make app    environment, real sample, page in a browser
# make demo   the same without a browser: the benchmark and its report
# make test   the same environment with the test extra, and every check
# make badges  README and CITATION with the repository's address of pyproject.toml and the version's tag
# PYTHON=python3.12 chooses the interpreter.

PYTHON ?= python3
BIN := .venv/bin
REPORTS := out/benchmarks
PACKAGES := backend/integral_oda integral_widgets

export PIP_DISABLE_PIP_VERSION_CHECK := 1

interpreter = $(shell ( $(PYTHON) -c 'import sys; print("new enough" if sys.version_info >= (3, 11) else sys.version.split()[0])' ) 2>/dev/null)

.PHONY: app demo test badges clean

app: .venv/installed
	@$(BIN)/integral-oda archive sample || echo "Going on without the sample: the page offers a simulated window."
	@$(BIN)/integral-oda app

demo: .venv/installed
	@$(BIN)/integral-oda archive sample
	@$(BIN)/integral-oda benchmark run sgr1935 --out $(REPORTS)
	@echo "The report lies in $(CURDIR)/$(REPORTS)"

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

badges:
	$(PYTHON) binder/badges.py

clean:
	rm -rf .venv out build dist

$(BIN)/python:
	$(if $(findstring new enough,$(interpreter)),,$(error Python 3.11 or newer is needed, but $(PYTHON) is $(or $(interpreter),not there): name another with PYTHON=))
	@$(PYTHON) -m venv .venv

# A stamp is as old as the last installation: pip runs again only when pyproject.toml has changed since.
# pip compiles what it installs, but not an editable package: commands would compile it at every start where
# PYTHONDONTWRITEBYTECODE is set.
.venv/installed: pyproject.toml | $(BIN)/python
	@echo "Installing integral-oda into .venv: a minute or two the first time"
	@$(BIN)/python -m pip install --quiet --editable .
	@$(BIN)/python -m compileall -q $(PACKAGES)
	@touch $@

.venv/installed-test: pyproject.toml | $(BIN)/python
	@echo "Installing integral-oda and its tests' tools into .venv: a minute or two the first time"
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@$(BIN)/python -m compileall -q $(PACKAGES)
	@touch .venv/installed $@
