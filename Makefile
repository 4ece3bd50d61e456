# `make` alone lists the recipes. A recipe is a line of commands: what needs logic is a script in tests/ or a subcommand.
.DEFAULT_GOAL := help

# sqlite or postgres: what the demo stores its tasks in.
DATABASE ?= sqlite
# How long the simulation runs: so many random histories of so many steps each.
SEEDS ?= 2000
STEPS ?= 1000
# Which faults are tried (F11; all of them where nothing is said), with which seeds, and how thoroughly: whole or short.
ONLY ?=
FAULTS ?= whole
FAULTS_SEED ?= 1
FAULTS_ROUNDS ?= 1
# What the worker that `make worker` starts is called; made up where nothing is said.
WORKER_ID ?=
# The Cargo profile of the tests; `ci` takes less disk.
PROFILE ?= dev

# What stands between a command and a throw-away PostgreSQL; measuring needs one that syncs like a real one.
beside_postgres := tests/with-postgres
durable := -c fsync=on -c synchronous_commit=on -c full_page_writes=on -c shared_buffers=1GB -c max_wal_size=4GB

.PHONY: help run dev api-dev worker demo check fmt test test-all simulate faults patroni bench bench-sqlite bench-postgres scaling

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start a server in this directory
	cargo run -p taskyard -- serve

dev: ## the same for development: any command is run, and everything may be wiped
	cargo run -p taskyard -- serve --dev --allow-command any

api-dev: dev ## the same, by its older name

worker: ## start a worker beside it (WORKER_ID=w1)
	cargo run -p taskyard -- worker $(if $(WORKER_ID),--name $(WORKER_ID))

demo: ## watch real work run from start to end (DATABASE=sqlite or postgres)
	tests/prepare compiler $(DATABASE) && cargo build --profile quick -p taskyard && $(beside_$(DATABASE)) target/quick/taskyard demo --database $(DATABASE)

check: ## formatting, lints, and licences where cargo-deny is installed
	tests/prepare compiler && cargo fmt --all --check && cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo 'cargo-deny is not installed: bans, licences and sources were not checked'; fi

fmt: ## format the code
	cargo fmt --all

test: export TASKYARD_REQUIRE_POSTGRES = 1
test: export TASKYARD_TEST_EXAMPLES = $(CURDIR)/target/examples
test: export TASKYARD_TEST_SCHEMATHESIS = $(CURDIR)/target/schemathesis/bin/schemathesis
test: export TASKYARD_TEST_DEPLOY = $(CURDIR)/target/deploy/bin/python
test: ## every test on both databases, installing what the machine lacks
	tests/prepare compiler curl deploy examples pgbouncer postgres python schemathesis && tests/with-postgres tests/run $(PROFILE)

test-all: test ## the same, by its older name

simulate: ## random histories against the rules (SEEDS=2000 STEPS=1000)
	TASKYARD_SIMULATE_SEEDS=$(SEEDS) TASKYARD_SIMULATE_STEPS=$(STEPS) cargo test --profile quick -p taskyard-engine --test simulation -- --nocapture

faults: ## real processes, killed, paused and cut off under load (ONLY=F11 FAULTS_SEED=7 FAULTS_ROUNDS=3)
	tests/prepare compiler postgres && TASKYARD_REQUIRE_POSTGRES=1 FAULTS=$(FAULTS) FAULTS_SEED=$(FAULTS_SEED) FAULTS_ROUNDS=$(FAULTS_ROUNDS) cargo test -p taskyard --test faults -- --include-ignored --nocapture --test-threads 1 $(if $(ONLY),::$(shell echo $(ONLY) | tr A-Z a-z)_,scenarios::)

patroni: ## the same for a cluster of Patroni, etcd and HAProxy, as root (FAULTS_SEED=7 FAULTS_ROUNDS=3)
	tests/prepare compiler patroni && FAULTS_PATRONI=1 FAULTS=$(FAULTS) FAULTS_SEED=$(FAULTS_SEED) FAULTS_ROUNDS=$(FAULTS_ROUNDS) cargo test -p taskyard --test faults -- --ignored --nocapture --test-threads 1 scenarios::patroni::

bench: bench-sqlite bench-postgres ## measure both databases, five times each, into bench/results/

bench-sqlite:
	cargo build --release -p taskyard && mkdir -p bench/results && target/release/taskyard bench --repeat 5 >bench/results/sqlite.jsonl

bench-postgres:
	tests/prepare postgres && cargo build --release -p taskyard && mkdir -p bench/results && tests/with-postgres $(durable) bash -c 'target/release/taskyard bench --repeat 5 --database "postgresql://$$PGUSER@$${PGHOST//\//%2F}:$$PGPORT/postgres"' >bench/results/postgres.jsonl

scaling: ## measure what a task, a server and a worker cost on PostgreSQL, into bench/results/ and docs/scaling.md
	tests/prepare postgres && cargo build --release -p taskyard && bench/cost.py --taskyard target/release/taskyard >bench/results/cost.jsonl && bench/two_databases.py --taskyard target/release/taskyard >bench/results/two_databases.jsonl && tests/with-postgres $(durable) bash -c 'target/release/taskyard bench --repeat 3 --only W10,W11 --database "postgresql://$$PGUSER@$${PGHOST//\//%2F}:$$PGPORT/postgres"' >bench/results/servers.jsonl && bench/model.py --write
