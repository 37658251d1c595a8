# What to type. Everything is installed into .venv; only Python 3.11 or newer and make are needed.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
CLOUD ?= gcp
NAME ?= rowferry
EXTRAS ?= gcp,aws,sql
# On AWS the warehouse is BigQuery still: it is there before the functions, and goes after them.
HALVES = $(if $(filter aws,$(CLOUD)),federation aws,$(CLOUD))
BACKWARDS = $(if $(filter aws,$(CLOUD)),aws federation,$(CLOUD))

.DEFAULT_GOAL := help
.PHONY: help run install test test-aws check settings bench soak package plan deploy destroy redrive terraform checkov lock clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(BIN)/.local  ## Watch the main job on this machine: files in, changed rows out, the balance (ONCE=1 ends after it)
	@$(BIN)/python -m rowferry.demo sandbox

install: $(BIN)/.local  ## Install what settings may ask for besides: BigQuery, S3, SQL databases (EXTRAS=sql for one alone)
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q -c requirements.lock -e '.[local,$(EXTRAS)]'
	@echo "rowferry is in $(BIN); to have it in this shell: source $(BIN)/activate"

test: $(BIN)/.dev  ## Lint, types and every test that can run here
	$(BIN)/ruff check shared functions tests infra
	$(BIN)/ruff format --check shared functions tests infra
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(BIN)/.local  ## Check the settings in infra/pipelines (or CONFIG=path)
	@$(BIN)/rowferry check $(if $(CONFIG),--config $(CONFIG))

settings: $(BIN)/.local  ## Write infra/SETTINGS.md, the settings key by key, from the models that read them
	@$(BIN)/python -m rowferry.settings.reference > infra/SETTINGS.md

bench: $(BIN)/.dev  ## Measure the speed, as ratios in one run; the table is kept in build/bench.json
	@PYTHONPATH=tests $(BIN)/python -m bench

soak: $(BIN)/.dev  ## Kill syncs at random for a long while and check every balance (KILLS=200); then try every property on fresh dice
	@KILLS=$(or $(KILLS),200) $(BIN)/python -m pytest tests/soak -q -s
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=fresh

test-aws: $(BIN)/.dev  ## Deploy all of AWS to an emulator, send files and webhooks through it, take it down (minutes)
	$(BIN)/python -m pytest -m slow tests/infra

package: override CONFIG := infra/pipelines  # what is packed, whatever ROWFERRY_CONFIG names
package: check  ## Check the settings and build the functions' zips for a cloud: make package CLOUD=gcp|aws
	@$(BIN)/python infra/package.py --cloud $(CLOUD) --out build

plan: terraform package  ## Show what a deployment would change: make plan CLOUD=gcp|aws
	@for half in $(HALVES); do terraform -chdir=infra/$$half init -input=false && terraform -chdir=infra/$$half plan || exit 1; done

deploy: terraform package  ## Deploy, or bring a deployment up to date; asks first: make deploy CLOUD=gcp|aws
	@for half in $(HALVES); do terraform -chdir=infra/$$half init -input=false && terraform -chdir=infra/$$half apply || exit 1; done

destroy: terraform package  ## Take a deployment down; asks for its name (NAME=rowferry) and then again: make destroy CLOUD=gcp|aws
	@printf 'This takes $(NAME) on $(CLOUD) down. Type its name to go on: '; read -r typed; \
	  test "$$typed" = "$(NAME)" || { echo "That is not its name; nothing was changed."; exit 1; }
	@for half in $(BACKWARDS); do terraform -chdir=infra/$$half init -input=false && terraform -chdir=infra/$$half destroy || exit 1; done

redrive: $(BIN)/.dev  ## Send a queue's dead letters back, after the cause is mended: make redrive CLOUD=gcp|aws QUEUE=name
	@test -n "$(QUEUE)" || { echo "Say which queue: make redrive CLOUD=$(CLOUD) QUEUE=… (terraform -chdir=infra/$(CLOUD) output queues)"; exit 1; }
	@$(BIN)/python infra/redrive.py --cloud $(CLOUD) --queue $(QUEUE)

checkov: $(BIN)/python  ## Check the Terraform against checkov's policies, in a venv of its own
	@test -x build/checkov/bin/checkov || { $(PYTHON) -m venv build/checkov && build/checkov/bin/pip install -q checkov==3.3.30; }
	@build/checkov/bin/checkov --config-file infra/checkov.yaml --directory infra

lock: $(BIN)/.dev  ## Resolve all dependencies anew into requirements.lock
	$(BIN)/uv pip compile --universal --all-extras --no-emit-index-url --no-annotate --no-header --python-version 3.11 --upgrade \
	  pyproject.toml -o requirements.lock

terraform:
	@command -v terraform > /dev/null || { echo "Terraform 1.7 or newer is needed: developer.hashicorp.com/terraform/install"; exit 1; }

clean:  ## Remove what was installed and built
	rm -rf .venv build sandbox

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: python.org, apt install python3, or brew install python. Or say which: make PYTHON=/path/to/python3.12 …"; exit 1; }
	@echo "Setting up .venv with $(PYTHON) …"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "venv failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(shell sed -n 's/^uv==//p' requirements.lock)

$(BIN)/.local: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing what one machine needs …"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q -c requirements.lock -e '.[local]'
	@touch $@

$(BIN)/.dev: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing what development needs …"
	@VIRTUAL_ENV=.venv $(BIN)/uv pip install -q -c requirements.lock -e '.[dev]'
	@touch $@ $(BIN)/.local
