# Everything a checkout needs is Go and make; tools and the local cluster's components are built from source into bin/.
# Written for the make that macOS ships (GNU make 3.81) as well as for newer ones.

SHELL := bash
.DEFAULT_GOAL := help

GO ?= go

# Static binaries that are the same whether there is a C compiler or not, and one build cache for everything.
export CGO_ENABLED ?= 0

BIN := $(CURDIR)/bin
TOOLS := hack/tools
DIST := $(GO) run ./hack/dist

# A checkout may come without git, as a release archive does.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/kuberik/kuberik/internal/buildinfo.Version=$(VERSION)

# What `make generate` writes, and nobody else.
GENERATED := config/crd config/rbac/role.yaml charts/kuberik/files \
	$(patsubst %/doc.go,%/zz_generated.deepcopy.go,$(wildcard api/*/doc.go api/*/*/doc.go))

BENCH_ARGS ?=
DEMO_ARGS ?=
TEST_ARGS ?=
SEEDS ?= 2000

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build the controller and the CLI into bin/.
	$(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...

.PHONY: image
image: ## Build the images for every platform into bin/image/, as OCI layouts.
	$(DIST) image -version $(VERSION) -out $(BIN)

.PHONY: image-check
image-check: ## Build the images of this machine twice, compare them, and start them.
	$(DIST) image-check -version $(VERSION)

.PHONY: manifests
manifests: ## Write bin/install.yaml and bin/crds.yaml.
	$(DIST) manifests -version $(VERSION) -out $(BIN)

.PHONY: components
components: ## Put the programs of the local cluster into bin/devplane/ (minutes the first time).
	$(GO) run ./internal/devplane/build

.PHONY: generate
generate: $(BIN)/controller-gen ## Generate deep copies, CRDs and RBAC from the types and markers, and their copies in the chart.
	$(BIN)/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/...
	@rm -f config/crd/*_*.yaml
	$(BIN)/controller-gen crd paths=./api/... output:crd:dir=config/crd
	$(BIN)/controller-gen rbac:roleName=kuberik-controller paths="./internal/controller/...;./internal/installed" output:rbac:dir=config/rbac
	$(DIST) generate

.PHONY: verify
verify: lint ## Check what a reviewer would: generated files, formatting, lint, architecture.
	hack/verify-generated.sh $(GENERATED) -- $(MAKE) --no-print-directory generate
	$(GO) mod verify
	$(GO) test -count=1 ./internal/archtest

.PHONY: lint
lint: $(BIN)/golangci-lint ## Run the linters.
	$(BIN)/golangci-lint run ./...

.PHONY: fmt
fmt: $(BIN)/golangci-lint ## Format the source as lint wants it.
	$(BIN)/golangci-lint fmt ./...

.PHONY: test-unit
test-unit: ## Run the tests that need no local cluster (seconds).
	$(GO) test -short $(TEST_ARGS) ./...

.PHONY: test
test: build components ## Run every test, the local cluster's included.
	@set -o pipefail; { failed=0; $(GO) test -timeout 40m $(TEST_ARGS) ./... || failed=1; \
		cd test/install && $(GO) test -timeout 20m $(TEST_ARGS) ./... || failed=1; exit $$failed; } 2>&1 | hack/summarise-tests.sh

.PHONY: sim
sim: ## Simulate for as long as SEEDS=n takes (default 2000).
	$(GO) test ./sim -run TestRandomFaults -seeds=$(SEEDS) -timeout 0 -v

.PHONY: rules
rules: ## Delete each rule of the core in turn and show which test misses it.
	$(GO) test ./sim -run TestEveryRuleIsNeeded -count=1 -v

.PHONY: bench
bench: build components ## Measure releases against the least that any controller has to do (BENCH_ARGS=-rollouts=2000).
	$(GO) run ./test/bench $(BENCH_ARGS)

.PHONY: demo
demo: build components ## Run releases through a local cluster, live (DEMO_ARGS=--once ends when they are through).
	$(BIN)/kuberik demo $(DEMO_ARGS)

.PHONY: devplane
devplane: build components ## Run the local cluster until interrupted.
	$(BIN)/kuberik devplane

.PHONY: clean
clean: ## Remove what was built, the components too.
	rm -rf $(BIN)

# Tools are rebuilt when their versions change.
$(BIN)/controller-gen: $(TOOLS)/go.mod $(TOOLS)/go.sum
	cd $(TOOLS) && $(GO) build -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen
	@touch $@

$(BIN)/golangci-lint: $(TOOLS)/go.mod $(TOOLS)/go.sum
	@echo "building golangci-lint (about a minute the first time)"
	cd $(TOOLS) && $(GO) build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
