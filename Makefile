# Every target with a `##` comment is shown by `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
NAME ?= dev
export PATH := $(CURDIR)/node_modules/.bin:$(CURDIR)/bin:$(PATH)
NODE := node_modules/.bin/node

.PHONY: help deps demo demo-down test verify fuzz bench bench-scale cluster-up cluster-down image-load images install gen format clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

node_modules/.package-lock.json: package.json package-lock.json
	@# Not `npm ci`: it insists on the packages of every platform, and a mirror need not have those of others. What is installed is what the lock file pins.
	@npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

deps: node_modules/.package-lock.json ## system packages and npm modules (quick when nothing is missing)
	@tools/ensure-packages

demo: deps ## the mesh running a real application on a real node (CLUSTER=current: on yours)
	@$(NODE) tools/demo.ts up

demo-down: deps ## remove what `make demo` made
	@$(NODE) tools/demo.ts down

test: deps ## every test
	@$(NODE) tools/test.ts

verify: deps ## format, lint, types, generated files, unit tests: the quick part of `make test`
	@$(NODE) tools/test.ts static unit

fuzz: deps ## hostile input to the proxy's parsers (SECONDS=600 for each target; 10 by default)
	@$(NODE) tools/fuzz.ts --seconds $(or $(SECONDS),10)

bench: deps ## the proxy pair against its peers in one interleaved run, a quarter of an hour (BENCH=quick: three minutes); writes bench/out
	@$(NODE) bench/main.ts

bench-scale: deps ## the operator with 1,000 Services and 8,000 simulated proxies, a quarter of an hour (BENCH=quick: one minute); writes bench/out/scale.json
	@$(NODE) bench/scale/main.ts

cluster-up: deps ## start the local node NAME (kubeconfig in .cluster/NAME/)
	@$(NODE) e2e/cluster/main.ts up $(NAME)

cluster-down: deps ## stop the local node NAME and leave nothing behind
	@$(NODE) e2e/cluster/main.ts down $(NAME)

image-load: deps ## load TAR=file into the local node NAME
	@$(NODE) e2e/cluster/main.ts load $(NAME) $(TAR)

images: deps ## build both images without a container engine; prints their archives
	@$(NODE) tools/images.ts

install: deps ## install or upgrade Weft on the local node NAME with its Helm chart
	@$(NODE) tools/install.ts $(NAME)

gen: deps ## regenerate CRDs, reference pages and protobuf code
	@$(NODE) tools/gen.ts

format: deps ## format TypeScript and Rust
	@biome format --write . && cd proxy-image && cargo fmt

clean: ## remove build output (never the caches outside the tree)
	@rm -rf dist bench/out
