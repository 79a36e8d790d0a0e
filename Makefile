# make demo    start a throwaway cluster and play what belay is for
# make test    unit tests, and the promises on a real Kubernetes
# make chaos   N=200: kill the agent so often at random moments, and count how often the cluster came out whole
# make images  N=1000: so many Syncs that share 50 images, and what a registry is asked for them
# make drill   90 kinds of bad release, each refused and rolled back, and how long that takes; good releases under noise
# make bench   what belay costs: seconds, requests, CPU, memory and bytes from Git, beside its targets and a floor
# make build   bin/belay and bin/belay-cluster

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
GO      ?= go
ROOT    := $(filter 0,$(shell id -u))

.PHONY: build
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/belay ./cmd/belay
	cd e2e/cluster && CGO_ENABLED=0 $(GO) build -o ../../bin/belay-cluster ./cmd/cluster

.PHONY: demo
demo: build
	bin/belay demo $(DEMOFLAGS)

# The end-to-end tests need a real node for some promises, which needs root and a few of Debian's packages. As anybody
# else they are left out, and the tests say so. A unit test of registries wants one of those packages, too.
.PHONY: test
test: build
	bin/belay-cluster prepare $(if $(ROOT),--node=real)
	$(if $(ROOT),BELAY_REQUIRE=docker-registry )$(MAKE) unit
	@bin/belay-cluster check --node=real || echo "left out, for want of the above: TestRealNode"
	$(GO) test -count=1 -timeout 60m ./e2e
	cd e2e/cluster && $(GO) test -count=1 -timeout 30m ./...

# make test kills it 40 times. SEED repeats a run, as far as the machine lets it.
N ?= 200
.PHONY: chaos
chaos: build
	bin/belay-cluster prepare
	CHAOS_N=$(N) CHAOS_SEED=$(SEED) $(GO) test -count=1 -timeout 0 -v -run '^TestKilledAgentLeavesOneRelease$$' ./e2e

# make test has 100 of them.
.PHONY: images
images: N = 1000
images: build
	bin/belay-cluster prepare
	IMAGES_N=$(N) $(GO) test -count=1 -timeout 0 -v -run '^TestAThousandSyncsShareFiftyImages$$' ./e2e

# make test has the same bad releases. DRILL, a regular expression, chooses among them.
.PHONY: drill
drill: build
	bin/belay-cluster prepare $(if $(ROOT),--node=real)
	DRILL='$(DRILL)' $(GO) test -count=1 -timeout 0 -v -run '^TestDrill$$' ./e2e
	NOISE_N=$(or $(NOISE),120) E2E_LARGE=full $(GO) test -count=1 -timeout 0 -v -parallel 1 -run '^(TestGoodReleasesUnderNoise|TestRealApplications|TestLargeApplications)$$' ./e2e

# BENCHFLAGS, such as "-only apps -n 100", chooses; see go doc ./e2e/bench.
.PHONY: bench
bench: build
	bin/belay-cluster prepare
	$(GO) run ./e2e/bench $(BENCHFLAGS)

# What CI runs: it fails on counts of requests, never on seconds.
.PHONY: bench-short
bench-short: build
	bin/belay-cluster prepare
	$(GO) run ./e2e/bench -short $(BENCHFLAGS)

.PHONY: unit
unit:
	$(GO) test ./cmd/... ./e2e/bench/... ./manifests/... ./registry/... ./render/... ./sync/...

# The race detector needs a C compiler, which make test does not.
.PHONY: race
race:
	$(GO) test -race ./cmd/... ./manifests/... ./registry/... ./sync/...

# What controller-gen makes of the Go types.
.PHONY: generate
generate:
	$(GO) tool controller-gen object paths=./sync/api/...
	$(GO) tool controller-gen crd paths=./sync/api/... output:crd:dir=manifests/install

.PHONY: verify
verify: generate
	git diff --exit-code -- sync/api manifests/install
	test -z "$$(gofmt -l cmd e2e manifests registry render sync | tee /dev/stderr)"
	$(GO) vet ./...
	$(GO) vet -tags failpoint ./sync/cluster
	cd e2e/cluster && $(GO) vet ./...

.PHONY: clean
clean:
	rm -rf bin
