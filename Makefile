# make run: Coffer on http://127.0.0.1:5000 (PORT=8000 for another). make test: the whole suite.
.POSIX:

VENV = .venv
FIND_PYTHON = for name in python3.13 python3.12 python3.11 python3; do \
	if $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
		python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then echo 'Coffer needs Python 3.11, 3.12 or 3.13.' >&2; exit 1; fi

# $(VENV)/.locked holds the checksum of the lock that was installed last; offline the second time.
INSTALL = python=; $(FIND_PYTHON); \
	export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore; \
	wanted=`cat requirements.txt $$lock | cksum`; \
	if [ "`cat $(VENV)/.locked 2>/dev/null`" = "$$lock $$wanted" ] && $(VENV)/bin/python -c '' 2>/dev/null; \
		then exit 0; fi; \
	if [ "$$lock" = requirements.txt ] && $(VENV)/bin/python -c '' 2>/dev/null && \
		[ "`cat $(VENV)/.locked 2>/dev/null`" = "requirements-dev.txt `cat requirements.txt requirements-dev.txt | cksum`" ]; \
		then exit 0; fi; \
	echo "Installing $$lock into $(VENV) ..."; \
	rm -f $(VENV)/.locked; \
	if ! $(VENV)/bin/python -c '' 2>/dev/null; then rm -rf $(VENV); fi; \
	if $$python -c 'import ensurepip' 2>/dev/null; then \
		[ -d $(VENV) ] || $$python -m venv $(VENV) || exit 1; \
		pip="$(VENV)/bin/python -m pip"; \
	elif $$python -m pip --version >/dev/null 2>&1; then \
		[ -d $(VENV) ] || $$python -m venv --without-pip $(VENV) || exit 1; \
		pip="$$python -m pip --python $(VENV)/bin/python"; \
	else echo "$$python cannot make virtual environments. On Debian: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	$$pip install --quiet --require-hashes -r $$lock || exit 1; \
	echo "$$lock $$wanted" > $(VENV)/.locked

run: install
	@exec $(VENV)/bin/python server.py

test: install-dev
	@$(VENV)/bin/python -m pytest -n 4 --dist loadfile $(PYTEST_ARGS)

# Measures beside floors and writes the tables of docs/performance.md anew; some ten minutes on a quiet machine.
bench: install-dev
	@$(VENV)/bin/python -m bench all

install:
	@lock=requirements.txt; $(INSTALL)

install-dev:
	@lock=requirements-dev.txt; $(INSTALL)

# Writes both locks anew from pyproject.toml; needs uv (https://docs.astral.sh/uv/). Upgrade: UV_ARGS=--upgrade
lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 $(UV_ARGS) -o requirements.txt pyproject.toml
	uv pip compile --universal --generate-hashes --python-version 3.11 $(UV_ARGS) -c requirements.txt \
		--group dev -o requirements-dev.txt pyproject.toml

.PHONY: run test bench install install-dev lock
