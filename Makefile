# callengine: `make demo` shows it at work, `make test` runs the whole suite, `make help` lists the rest.

SHELL       := /bin/bash
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT      ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS     := -X main.version=$(VERSION) -X main.commit=$(COMMIT)
FUZZTIME    ?= 1m
SOAKTIME    ?= 10m
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# What is needed beside Go, make and gcc: program or file:Debian package.
SPEECH  := espeak-ng:espeak-ng
SPHINX  := /usr/share/pocketsphinx
HEARING := pocketsphinx_continuous:pocketsphinx $(SPHINX)/model/en-us/en-us/mdef:pocketsphinx-en-us \
	$(SPHINX)/test/data/goforward.raw:pocketsphinx-testdata
PHONES  := baresip:baresip-core sipp:sip-tester
PROXIES := kamailio:kamailio
UNITS   := systemd-analyze:systemd
CODECS  := ffmpeg:ffmpeg
EXPERTS := tshark:tshark
SDK     := node:nodejs npm:npm
S3      := github.com/versity/versitygw/cmd/versitygw@v1.8.0
SOCKETS := /usr/lib/python3/dist-packages/websockets:python3-websockets

# install PROGRAM:PACKAGE...: installs those packages whose program, or file, is missing, or says which, and fails. A daemon among them
# is not started: the tests start their own. Programs may be in an sbin that PATH does not name.
define install
	@missing=""; PATH="$$PATH:/usr/sbin:/sbin"; \
	for p in $(1); do command -v "$${p%%:*}" >/dev/null || [ -e "$${p%%:*}" ] || missing="$$missing $${p##*:}"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "Please install these Debian packages, or what your system calls them:$$missing" >&2; \
		echo "(on Debian and Ubuntu: sudo apt-get install$$missing)" >&2; \
		exit 1; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; policy=/usr/sbin/policy-rc.d; \
	[ -e $$policy ] || { trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; }; \
	apt-get update -q </dev/null && apt-get install -q -y --no-install-recommends $$missing </dev/null || \
	{ echo "These Debian packages could not be installed:$$missing" >&2; exit 1; }
endef

.DEFAULT_GOAL := build
.PHONY: help build demo test lint fuzz soak crash dissect bench deps speech clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/callengine
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/callengine ./cmd/callengine

demo: build ## place real calls on a node of its own and print their ladders
	./bin/callengine demo

test: deps ## vet, and the whole suite with the race detector
	go vet ./...
	go test -race -timeout 20m ./...

lint: ## staticcheck, fetched if need be
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; [ -z "$$unformatted" ] || { echo "not formatted: $$unformatted" >&2; exit 1; }
	go run $(STATICCHECK) ./...

fuzz: ## each fuzz target for FUZZTIME (1m)
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$package; \
		done; \
	done

soak: ## calls of all kinds over real sockets for SOAKTIME (10m), and nothing may be left of them
	go test -race -timeout 0 -v -run TestNothingIsLeftOfCallsOverRealSockets ./node -soak $(SOAKTIME)

crash: ## kill nodes at every moment of their calls, and the program 200 times under load
	go test -timeout 0 -v -run 'TestWhereverANodeDies|TestNoCallIsLostToKills' ./node -everymoment -kills 200 -killrate 50 | grep -v '^ *--- PASS\|^=== '

# What Wireshark finds wrong with what nodes send. Nothing is recorded in the tests over real sockets, so most of them are left out.
# Of TLS both directions are there, as one cannot be read without the other: what comes to a node's port is not its own.
WRONG   := (sip || sdp || rtp || rtcp) && (_ws.malformed || _ws.expert.severity >= warning) && !(tcp.dstport == 5061)
DISSECT := tshark -r bin/sent.pcap -o tls.keylog_file:bin/sent.pcap.keys -d udp.port==16384-32767,rtp

dissect: ## have Wireshark look through what nodes send in the tests
	$(call install,$(EXPERTS))
	@mkdir -p bin
	go test -count=1 -skip 'OverReal|Baresip|SIPp|Kamailio|Torture|Broken|TenThousand|Hostile|RealStore|PublishedSDK' ./node -sent $(CURDIR)/bin/sent.pcap
	@$(DISSECT) -q -z 'io,stat,0,sip,sdp,rtp,rtcp,sip&&tcp,sip&&tls,sip&&ipv6'
	@[ -n "$$($(DISSECT) -Y 'sip && tls && tcp.srcport == 5061')" ] || { echo "nothing was sent over TLS, or it cannot be read" >&2; exit 1; }
	@wrong="$$($(DISSECT) -Y '$(WRONG)')" || exit 1; [ -z "$$wrong" ] || { echo "$$wrong"; echo "see bin/sent.pcap" >&2; exit 1; }

# With two cores the server under load has one, and the load the other.
PINNED := $(shell command -v taskset >/dev/null && [ "$$(nproc)" -ge 2 ] && echo taskset -c 1 env CALLENGINE_BENCH_PINNED=1)

# table prints the figures of benchmarks as a table.
table = awk 'BEGIN { print "| benchmark | figure | unit |\n|---|---:|---|" } \
	/^Benchmark/ { for (i = 3; i < NF; i += 2) print "| " $$1 " | " $$i " | " $$(i+1) " |" }' bin/bench.txt

# The packages with benchmarks of parts.
BENCHED := $(shell grep -rl --include='*_test.go' '^func Benchmark' . | grep -v /node/bench/ | xargs -n1 dirname | sort -u)

bench: ## the benchmarks, and their figures as a table; a quarter of an hour (SHORT=1: a look at whether they run)
	$(call install,$(SPEECH) $(PHONES))
	@mkdir -p bin
	set -o pipefail; go test -run '^$$' -bench . -benchtime $(if $(SHORT),1x,300ms) -benchmem -timeout 5m $(BENCHED) | tee bin/bench.txt
	go test -c -o bin/bench.test ./node/bench
	set -o pipefail; cd node/bench && $(PINNED) ../../bin/bench.test -test.bench . -test.benchtime 1x $(if $(SHORT),-test.short) -test.timeout 25m | tee -a ../../bin/bench.txt
	@$(table)

deps: ## install what the suite needs
	$(call install,$(SPEECH) $(HEARING) $(PHONES) $(PROXIES) $(UNITS) $(CODECS) $(SDK) $(SOCKETS))
	@$(MAKE) --no-print-directory testdata/sdk/node_modules || echo "The API's SDK is missing: its test will fail." >&2
	@[ -x bin/versitygw ] || GOBIN=$(CURDIR)/bin go install $(S3) || echo "versitygw is missing: its test will fail." >&2

# The API's published SDK. The lock file holds the digest of each of its parts.
testdata/sdk/node_modules: testdata/sdk/package-lock.json
	npm ci --prefix testdata/sdk --ignore-scripts --no-audit --no-fund
	@touch $@

speech:
	$(call install,$(SPEECH))

clean: ## remove what was built
	rm -rf bin
