# gramd: every habit is a command. `make` alone prints them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The first Python on PATH that is new enough; `make install PYTHON=/some/python` overrides it.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
# `make test ARGS="-k tiles"` passes anything on to pytest; JOBS=0 turns parallel tests off.
ARGS ?=
JOBS ?= 2
# `make serve PORT=9000 DATA=/some/dir WORKERS=1`
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?=
WORKERS ?=
SERVE := $(BIN)/python -m service serve --host $(HOST) --port $(PORT) \
	$(if $(DATA),--data-dir $(DATA)) $(if $(WORKERS),--workers $(WORKERS))

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## create .venv with everything, pinned and checked by hash

$(STAMP): requirements/dev.txt pyproject.toml client/pyproject.toml
	@test -n "$(PYTHON)" || { echo "gramd needs Python 3.11 or newer on PATH (or: make install PYTHON=...)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Creating $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the pinned dependencies (a few minutes the first time, nothing when unchanged)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
		-r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e client
	@touch $@

demo: install ## digits through the embedded service: NNGP and NTK, accuracy, a picture
	@$(BIN)/python examples/digits/demo.py

example-heads: install ## many heads make attention Gaussian, one does not: a table and a picture
	@$(BIN)/python examples/gaussian_process_limit/heads.py

example-lipschitz: install ## dot-product attention is not Lipschitz, L2 attention is: tables and a picture
	@$(BIN)/python examples/lipschitz/l2_attention.py

example-invertible: install ## invertible attention gives its input back: a table and a picture
	@$(BIN)/python examples/invertible_attention/reconstruct.py

example-favor: install ## FAVOR+ against exact attention: tables and a picture
	@$(BIN)/python examples/favor/error.py

example-retrieval: install ## what linear attention and the delta rule can remember: tables and a picture
	@$(BIN)/python examples/retrieval/capacity.py

serve: install ## start the service (embedded Redis, API, workers) on http://127.0.0.1:8000
	@exec $(SERVE)

test: lint generated ## the checks and the tests that CI runs
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -m "not slow and not faults and not hostile" $(ARGS)

test-all: lint types generated ## the same with types, the slow tests, faults and hostile input
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope $(ARGS)

test-faults: install ## kill, stop and starve the processes of a running service
	$(BIN)/python -m pytest -m faults -p no:randomly --durations=0 tests/faults $(ARGS)

test-hostile: install ## 20,000 requests that mean no good, with counts by status
	$(BIN)/python -m pytest -s -p no:randomly tests/hostile $(ARGS)

test-images: install ## build the images and run compose.yaml, where there is a container engine
	$(BIN)/python -m pytest -p no:randomly tests/docker/test_containers.py $(ARGS)

STORES := .venv-stores
test-object-stores: install $(STORES)/.installed ## large results in servers that speak S3 and Azure (moto, Azurite)
	$(BIN)/python -m pytest -p no:randomly tests/service/front/test_object_stores.py $(ARGS)

# moto brings much that nothing else here needs; Azurite is a program of Node's, and left out without npm.
$(STORES)/.installed: requirements/object-stores.txt
	@test -x $(STORES)/bin/python || $(PYTHON) -m venv $(STORES)
	@$(STORES)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		--only-binary :all: -r requirements/object-stores.txt
	@if command -v npm >/dev/null; then npm install --silent --no-fund --no-audit --prefix $(STORES) azurite@3.37.0; fi
	@touch $@

accuracy: install ## the table of docs/accuracy.md: float32 against float64
	@$(BIN)/python benchmarks/float32_accuracy.py

bench: install ## speed of the kernel engine, with the ratio to this machine's roofline
	@$(BIN)/python -m benchmarks.bench $(ARGS)

PEER := .venv-peer
bench-peer: install $(PEER)/.installed ## the same beside neural-tangents, run alternately
	@$(BIN)/python -m benchmarks.bench --peer $(PEER)/bin/python $(ARGS)

# It does not import with the JAX that we use, so it has a virtual environment of its own.
$(PEER)/.installed: requirements/peer.txt
	@test -x $(PEER)/bin/python || $(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/peer.txt
	@touch $@

bench-imdb: install ## the IMDb example of arXiv 2006.10540: make bench-imdb DATA=path/to/imdb.npz
	@test -n "$(DATA)" || { echo "expected DATA=path/to/imdb.npz; benchmarks/imdb.py says what it holds" >&2; exit 1; }
	@$(BIN)/python -m benchmarks.imdb $(DATA) $(ARGS)

bench-growth: install ## how time grows with inputs, positions, depth and channels, and a plot
	@$(BIN)/python -m benchmarks.growth $(ARGS)

bench-service: install ## what the service adds: overhead, cached fetches, workers, start
	@$(BIN)/python -m benchmarks.service $(ARGS)

results-digits: install ## digits: infinitely wide networks, SVM, logistic regression
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.results.digits $(ARGS)

RESULTS := results-imdb results-cifar results-uci
results-imdb: ## film reviews: attention, mean pooling, logistic regression (DATA=path/to/imdb.npz)
results-cifar: ## photographs: convolutions with and without attention (DATA=path/to/cifar10.npz)
results-uci: ## tables: RMSE and NLL beside scikit-learn's Gaussian process (DATA=path/to/uci.npz)
$(RESULTS): results-%: install
	@test -n "$(DATA)" || { echo "expected DATA=path/to/$*.npz; benchmarks/results/$*.py says what it holds" >&2; exit 1; }
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.results.$* $(DATA) $(ARGS)

bench-load: install ## latency of each route under 200 clients; a small job beside a huge one
	@$(BIN)/python -m benchmarks.load $(ARGS)

bench-additive-depth: install ## whether kernels stay additive above what follows an attention
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.additive_depth

bench-attention: install ## contraction, low ranks, performers and flat attention against exact float32
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/attention_structure.py

audit: install ## known vulnerabilities of the locked dependencies; asks the OSV database
	@$(BIN)/python requirements/audit.py

sbom: install ## bills of materials of the images, CycloneDX, in sbom/
	@mkdir -p sbom
	@for extra in api worker cuda; do $(BIN)/cyclonedx-py requirements requirements/$$extra.txt --pyproject pyproject.toml \
		--output-reproducible --of JSON -o sbom/$$extra.json && echo "sbom/$$extra.json" || exit 1; done

bench-memory: install ## peak memory against the budget, over lengths, depths and kinds of network
	@$(BIN)/python -m benchmarks.memory $(ARGS)

lint: install ## ruff: format and rules; import contracts
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet .; echo "run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@PYTHONPATH=client $(BIN)/lint-imports --no-cache >.import-lint.log || { cat .import-lint.log; rm -f .import-lint.log; exit 1; }
	@rm -f .import-lint.log

format: install ## rewrite the sources as ruff likes them
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: install ## pyright, strict
	@$(BIN)/pyright

generated: install ## generated files are up to date
	@$(BIN)/python -m service.contract.openapi --check
	@$(BIN)/python -m kernels.reference --check
	@$(BIN)/python -m service.contract.reference --check
	@$(BIN)/python -m client.generate --check

openapi: install ## regenerate openapi.yaml and docs/api.md from the code
	@$(BIN)/python -m service.contract.openapi
	@$(BIN)/python -m service.contract.reference

docs: install ## regenerate docs/layers.md and docs/api.md from the code
	@$(BIN)/python -m kernels.reference
	@$(BIN)/python -m service.contract.reference

site: install ## build the documentation's site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "site/index.html"

screenshots: install ## pictures of the web page for the documents; needs Chromium
	@$(BIN)/python -m docs.screenshots && ls docs/images/page-*.png

client: install ## regenerate the client's spec builder and its asynchronous half
	@$(BIN)/python -m client.generate

cov: install ## tests with branch coverage
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --cov --cov-report=term --cov-report=html $(ARGS)

LOCK := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --upgrade
lock: install ## pin the dependencies of every image and of .venv anew
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	$(LOCK) --extra dev -o requirements/dev.txt >/dev/null && \
	for extra in api worker cuda; do \
		$(LOCK) --extra $$extra -c requirements/dev.txt -o requirements/$$extra.txt >/dev/null || exit 1; done && \
	$(subst pyproject.toml,,$(LOCK)) --group object-stores -o requirements/object-stores.txt >/dev/null

clean: ## remove what the tools, the service and the demo made (not .venv)
	rm -rf site sbom demo-output .gramd-demo .pytest_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.* dist build
	find . -name __pycache__ -not -path './$(VENV)/*' -type d -prune -exec rm -rf {} +

.PHONY: help install demo example-heads example-lipschitz example-invertible example-favor \
	example-retrieval serve accuracy bench bench-peer bench-imdb bench-growth bench-service bench-load bench-attention \
	bench-memory results-digits $(RESULTS) test test-all test-faults test-hostile test-images test-object-stores lint format types \
	generated openapi docs site screenshots client cov audit sbom lock clean
