# What people and CI run. Everything goes through cargo; the Redis servers that tests need are started by the tests.

CARGO ?= cargo
# For `make verify`.
TRACE ?= -
CAPACITY ?= 500
WINDOW ?= 60s

.DEFAULT_GOAL := help
.PHONY: help run dev test lint fmt chaos openapi asyncapi manifests bench verify

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run one node (QUOTA_CONFIG names its configuration)
	$(CARGO) run --release -- serve

dev: ## Run two nodes on a private Redis, with pretend traffic
	$(CARGO) run --release -- dev --traffic 20

test: lint ## Check format and lints, then run every test
	$(CARGO) test

lint: ## Check format and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt

chaos: ## Kill nodes behind nginx under 10,000 status changes; wants the machine for itself
	$(CARGO) test --test it live_chaos -- --ignored

openapi: ## Write the OpenAPI document from the code
	UPDATE_OPENAPI=1 $(CARGO) test --lib the_committed_file_is_the_document

asyncapi: ## Check the AsyncAPI document with the public parser (needs npm)
	.ci/asyncapi

manifests: ## Build every Kubernetes overlay and check it against the schemas (needs kubectl, python3)
	.ci/manifests

bench: ## Measure
	$(CARGO) run --release -- bench

verify: ## Check a trace of grants (TRACE=file CAPACITY=500 WINDOW=60s)
	$(CARGO) run --release -- verify-trace $(TRACE) --capacity $(CAPACITY) --window $(WINDOW)
