# The two commands are `make demo` and `make test`; `make help` lists the rest.
# PYTHON=...     the interpreter that .venv is made from
# PIP_FLAGS=...  passed on to pip install, see CONTRIBUTING.md
VENV  := .venv
BIN   := $(VENV)/bin
RUN   := PATH="$(CURDIR)/$(BIN):$$PATH"
FACTS := pyproject.toml setup.py settings.ini constraints.txt
# What Python compiles when it is first imported need not all be compiled at the start.
export PYTHONDONTWRITEBYTECODE :=
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --no-compile $(PIP_FLAGS) -c constraints.txt

.PHONY: help demo test hostile torture bench gpu lab js docs site quarto readme prepare hooks clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | expand -t 10

demo: $(VENV)/.package ## train the default GAN on the ring of 8 Gaussians
	$(BIN)/gan-train ring --out runs/demo --force

test: $(VENV)/.dev ## run the notebooks' tests and those in tests/
	$(RUN) tests/run

hostile: $(VENV)/.dev ## damaged and malicious files for every reader, CASES=2500 of each kind; writes benchmarks/hostile.md
	$(RUN) env GAN_CASES=$(or $(CASES),2500) GAN_REPORT=benchmarks/hostile.md OMP_NUM_THREADS=1 python -m pytest tests/test_hostile.py

torture: $(VENV)/.dev ## kill runs 200 times, change files 2,000 times, train for 10⁶ iterations: an hour
	$(RUN) python tests/torture.py --report benchmarks/torture.md
	$(RUN) sh -c 'GAN_CASES=2000 python -m pytest tests/test_checkpoints.py'
	$(RUN) python benchmarks/soak.py

lab: $(VENV)/.dev ## open JupyterLab on the notebooks
	$(RUN) jupyter lab --notebook-dir=nbs

js: ## format the windows' JavaScript; needs npm
	npx --yes prettier@3 --print-width 120 --write gan_nbdev/lab/static/*.js tests/*.mjs

bench: $(VENV)-bench/.done ## measure speed and quality against others, nothing else running; writes benchmarks/*.md
	for b in quality speed precision; do $(VENV)-bench/bin/python benchmarks/$$b.py || exit 1; done

gpu: ## all that is to be known of a GPU in 9 minutes, by a python3 that has torch and JAX for it; writes gpu.md into benchmarks/ or OUT=folder
	$(or $(PYTHON),python3) benchmarks/gpu.py $(if $(OUT),--out '$(OUT)/gpu.md')

docs: quarto $(VENV)/.dev ## build the site into _docs/ and check it; needs Quarto
	$(RUN) env PYTHONPATH=tools python tools/build_site.py
	$(RUN) python tools/check_site.py
	$(RUN) python tools/browse_site.py

site: $(VENV)/.dev ## show the site that `make docs` has built
	$(BIN)/python tools/build_site.py --serve

quarto:   # nbdev would try to install it, with curl and sudo
	@command -v quarto >/dev/null || { echo "Quarto, which builds the site, is not installed: see https://quarto.org/docs/get-started" >&2; exit 1; }

readme: $(VENV)/.dev ## write README.md from nbs/index.ipynb
	$(RUN) python tools/readme.py

prepare: $(VENV)/.dev ## before a commit: export the modules, clean the notebooks, write README.md
	$(RUN) nbdev-export
	$(RUN) nbdev-clean
	$(RUN) python tools/readme.py

hooks: $(VENV)/.dev ## git's merge and diff drivers for notebooks, cleaning when Jupyter saves
	$(RUN) nbdev-install-hooks
	@# by full path, so that git finds them where .venv is not active
	git config --file .gitconfig merge.jupyternotebook.driver '"$(CURDIR)/$(BIN)/nbdev-merge" %O %A %B %P'
	git config --file .gitconfig diff.jupyternotebook.command '"$(CURDIR)/$(BIN)/nbdev-diff-driver"'
	printf '#!/bin/sh\n"%s/nbdev-trust"\n' '$(CURDIR)/$(BIN)' >.git/hooks/post-merge

clean: ## remove what was built; keeps runs/ and .venv/
	rm -rf _proc _docs build dist *.egg-info .pytest_cache .hypothesis nbs/nbdev.yml nbs/sidebar.yml
	find gan_nbdev nbs tests tools \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

# The stamps keep a second run from installing again; a changed fact or interpreter makes them stale.
$(BIN)/python:
	tools/venv $(VENV)

$(VENV)/.package: $(BIN)/python $(FACTS)
	@echo 'Installing torch and the rest into $(VENV), once. CONTRIBUTING.md says how to get a smaller torch.'
	$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python $(FACTS)
	@echo 'Installing torch, Jupyter and the rest into $(VENV), once. CONTRIBUTING.md says how to get a smaller torch.'
	$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.package $@

$(VENV)-bench/.done: benchmarks/requirements.txt $(FACTS)
	tools/venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -r $< -e .
	@touch $@
