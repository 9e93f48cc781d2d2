# `make` alone lists what there is. Nothing but Python 3.11 or newer, make and git has to be there first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PY := .venv/bin/python
READY := .venv/.ready
CODE := signalcraft tests packaging
# The dashboard: what npm installed, and what was built out of it.
MODULES := web/node_modules/.package-lock.json
DASHBOARD := signalcraft/http/static/.built
NPM := .ci/npm --silent
UV := env -u VIRTUAL_ENV .venv/bin/uv
export UV_NO_PROGRESS := 1
export UV_PYTHON_DOWNLOADS := never
# The certificates that this machine trusts, where it has a list: many mirrors are signed by a company's own.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),1,0)
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

# --------------------------------------------------------------------------------------------------------- the program
build: $(READY) $(DASHBOARD) ## a complete installation in .venv: .venv/bin/signalcraft is the program
	@$(PY) -m compileall -q signalcraft

demo: $(READY) $(DASHBOARD) ## the whole of it in one command, with made-up alerts and a stand-in for Slack; Ctrl-C ends it
	@exec .venv/bin/signalcraft demo

dev: $(READY) $(DASHBOARD) ## the appliance on a scratch data directory, with logs for people
	@exec env SIGNALCRAFT_LOG__FORMAT=text .venv/bin/signalcraft serve --data-dir .build/dev-data

web: $(DASHBOARD) ## the dashboard alone, where something of it changed

$(DASHBOARD): $(MODULES) $(shell find web -name node_modules -prune -o -type f -print)
	@echo "Building the dashboard"
	$(NPM) run build -- --logLevel warn
	touch $@

# Programs that packages bring along to be run when they are installed stay where they are.
$(MODULES): web/package-lock.json web/package.json web/.npmrc | $(READY)
	@$(NPM) ci --ignore-scripts || { echo "npm did not come to its end; once more"; $(NPM) ci --ignore-scripts; }
	touch $@

# The lock is installed whole, so that what was tested is what runs; the build backend comes from it too.
$(READY): dev.lock.txt pyproject.toml .ci/python
	@if ! $(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
		python=$$(.ci/python newest)
		echo "Making .venv with $$("$$python" -V)"
		rm -rf .venv
		"$$python" -m venv .venv
	fi
	wanted=$$(sed -n 's/^uv==\([^ ]*\).*/\1/p' dev.lock.txt)
	if [ "$$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$$wanted" ]; then
		mkdir -p .build
		awk '/^[^ #]/ {on = /^uv==/} on' dev.lock.txt > .build/uv.txt
		$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >/dev/null
		$(PY) -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r .build/uv.txt
	fi
	# Bytecode is made here, once: compiling at each start would double the time until it serves, and an installation
	# may lie where the program cannot write, or run where PYTHONDONTWRITEBYTECODE is set.
	if ! $(UV) pip sync --quiet --compile-bytecode --python $(PY) --require-hashes dev.lock.txt; then
		echo "uv could not install the lock; pip tries, as it is set up on this machine."
		$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r dev.lock.txt
	fi
	$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	touch $@
	echo "Ready: .venv/bin/signalcraft on $$($(PY) -V)"

# ---------------------------------------------------------------------------------------------------------- the checks
test: $(DASHBOARD) lint types bandit secrets suite ## a short form of every check: 9 to 15 minutes on 2 cores, set-up included; COVERAGE=1 measures it too
	.ci/oldest quick
	$(if $(WHOLE),$(if $(ARGS),,$(PY) -m tests.gate ran test-whole))

test-whole: WHOLE := 1
test-whole: test ## the same with every test of a minute and less: every page in every state, commands beside a box and alone

# Tests of the program and of the dashboard; without WHOLE those alone that are not marked `whole`. Measured are the
# statements that the tests' own processes run (what they start beside themselves is not counted); branches in the pure
# rooms, whose tests run once more for it.
SUITE = $(PY) -m pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not trial$(if $(WHOLE),, and not whole)"
ROOMS := domain sources channels
LOADER := "cc:gcc:what compiles the loader of the one file" "/usr/include/stdio.h:libc6-dev:the compiler's headers" \
	"/usr/include/zstd.h:libzstd-dev:zstd's own library, for the loader"
suite: $(READY) $(DASHBOARD)
	@.ci/need "chromium:chromium:the browser of the tests" "promtool:prometheus:what checks metrics, rules and dashboards" \
		"shellcheck:shellcheck:what checks the scripts of the packages" "rpm:rpm:what looks into the .rpm" \
		"caddy:caddy:the front door with config/Caddyfile" "nginx:nginx-light:the front door with config/nginx.conf" \
		"minisign:minisign:what checks the signature of a release" $(LOADER)
	$(NPM) run test
	$(SUITE) --junitxml=.build/$(if $(WHOLE),tests,short).xml $(if $(COVERAGE),--cov --cov-report=) $(ARGS)
	[ -n "$(COVERAGE)" ] || exit 0
	.venv/bin/coverage json --quiet -o .build/coverage.json
	.venv/bin/coverage xml --quiet -o .build/coverage.xml
	COVERAGE_CORE=ctrace COVERAGE_FILE=.build/.coverage-rooms $(SUITE) -q $(ROOMS:%=tests/%) $(ROOMS:%=--cov=signalcraft/%) \
		--cov-branch --cov-report=json:.build/branches.json
	$(PY) packaging/pipeline/floors.py .build/coverage.json .build/branches.json

lint: $(READY) $(MODULES) workflows ## style, bans, who may import whom, the workflows
	.venv/bin/ruff check $(CODE)
	.venv/bin/ruff format --check $(CODE)
	.venv/bin/lint-imports --no-logo
	$(NPM) run lint

workflows: $(READY)
	@.venv/bin/zizmor --offline --no-progress --quiet .github

types: $(READY) $(MODULES) ## mypy and svelte-check, strict
	.venv/bin/mypy
	$(NPM) run check

bandit: $(READY)
	@.venv/bin/bandit --quiet --recursive --severity-level medium --configfile pyproject.toml signalcraft

secrets: $(READY) ## no key or password is in the repository
	@$(PY) -m tests.security.secret_scan

audit: bandit secrets ## bandit, secrets in the repository, and known holes in what the program is built from
	@code=0
	out=$$(timeout 120 .venv/bin/pip-audit --require-hashes --disable-pip --progress-spinner off -r runtime.lock.txt 2>&1) || code=$$?
	skipped=$$(grep -c 'could not be audited' <<<"$$out" || true)
	grep -v 'could not be audited' <<<"$$out" || true
	if grep -qE '^[a-z0-9-]+ +[0-9][^ ]* +[A-Z]+-' <<<"$$out"; then exit 1; fi
	if [ "$$code" != 0 ] || [ "$$skipped" != 0 ]; then
		[ "$(AUDIT)" != whole ] || { echo "AUDIT=whole: what could not be looked at is a failure"; exit 1; }
		echo "!! NOT CHECKED for known holes: $$([ "$$skipped" = 0 ] && echo all || echo "$$skipped") of" \
			"$$(grep -c '^[a-z0-9-]*==' runtime.lock.txt) packages (the list of holes was out of reach)"
	fi

test-oldest: $(READY) $(DASHBOARD) ## the whole suite on Python 3.11
	.ci/oldest full

# pytest names files by their full path; what is kept says them from the root of the repository, or of the test's folder.
trial: $(READY) $(DASHBOARD) ## the long rounds; ONLY=word picks some; their raw output is kept under docs/reference/trials/
	mkdir -p docs/reference/trials
	$(PY) -m pytest -m trial $(if $(ONLY),-k '$(ONLY)') --no-header -s -rA $(ARGS) 2>&1 \
		| sed -u -Ee "s|$$PWD/||g; s|$$PWD|.|g; s|$$HOME|~|g; s|/tmp/pytest-of-[^/]+/pytest-[0-9]+/|…/|g" | tee docs/reference/trials/$(or $(ONLY),all).txt

trial-load: ## ten minutes of a team's load beside a million events
	@$(MAKE) --no-print-directory trial ONLY=test_load

gate: $(READY) $(DASHBOARD) ## is it ready: every check, one verdict table; QUICK=1 runs again only what has not gone well on these files
	@$(PY) -m tests.gate $(if $(QUICK),--quick) $(ARGS)

bench: $(READY) ## how fast it is here: written to docs/reference/benchmarks.md; ONLY=posts: how fast it tells, alone
	@.ci/need "wrk:wrk:the load generator of the benchmark"
	$(PY) -m tests.bench $(ONLY)

bench-regression: bench ## the same, and fails where a case reaches less than nine tenths of what was committed
	$(PY) -m tests.bench.regression

# --------------------------------------------------------------------------------------------------------- the pipeline
# What .github/workflows/ci.yml runs, in its order (tests/house/test_pipeline.py compares them).
PIPELINE := lint bandit secrets types coverage web wheel binary packages smoke installed
pipeline: ## all that CI does, in its order: what passes here passes there
	@for target in $(PIPELINE); do echo "== make $$target"; $(MAKE) --no-print-directory $$target; done

coverage: COVERAGE := 1
coverage: WHOLE := 1
coverage: suite ## every test but the long rounds, with the floors of coverage: 80 % of all, 95 % of domain, sources, channels

wheel: $(READY) $(DASHBOARD) ## the wheel, in .build/wheel
	@rm -rf .build/wheel
	$(PY) -m hatchling build -t wheel -d .build/wheel

smoke: $(READY) binary ## what was built starts, takes an alert to a channel, and passes signalcraft smoke and doctor
	$(PY) packaging/pipeline/smoke.py .build/dist/signalcraft .build/dist/signalcraft-dir/signalcraft

installed: $(READY) packages ## the package in a fresh Debian with its systemd: install, kill, upgrade, roll back, purge; root on a Debian
	@$(PY) -m pytest -m trial --no-header -s -rA tests/trials/test_installed.py

version-agrees: $(READY) ## TAG=v1.2.3 is the program's version and has an entry in the changelog
	@$(PY) packaging/pipeline/version.py "$(TAG)"

signed-release: $(READY)
	@packaging/pipeline/with-secrets $(MAKE) --no-print-directory release

staging production: $(READY) ## the package of .build/release on a machine, told, smoked, taken back where it does not work
	@packaging/pipeline/with-secrets $(PY) packaging/pipeline/deploy.py $@ "$$(ls .build/release/*.deb)"

publish: $(READY) ## the files of .build/release at the tag's release
	@$(PY) packaging/pipeline/version.py "$(TAG)" --notes > .build/notes.md
	gh release create "$(TAG)" --verify-tag --title "SignalCraft $(TAG)" --notes-file .build/notes.md .build/release/*

notify: $(READY) ## EVENT=started|succeeded|failed|rolled-back PLACE=… VERSION=… WHY=…: tells it through SignalCraft
	@$(PY) packaging/pipeline/notify.py "$(EVENT)" "$(PLACE)" "$(VERSION)" "$(WHY)"

hooks: ## switch on the hooks of .githooks in this clone
	git config core.hooksPath .githooks

# ------------------------------------------------------------------------------------------------------------ a release
# One thing takes long, so it is done again only where something of it changed. Another version than the code's own, to
# try an upgrade with: SIGNALCRAFT_BUILD_VERSION=9.9.9 make binary
BINARY := .build/dist$(addprefix -,$(SIGNALCRAFT_BUILD_VERSION))/signalcraft
binary: $(BINARY) ## the one-file program and the same as a folder: .build/dist/signalcraft, .build/dist/signalcraft-dir

$(BINARY): runtime.lock.txt dev.lock.txt web/package-lock.json $(shell find signalcraft docs packaging/binary \
		'(' -name static -o -name __pycache__ ')' -prune -o -type f -print) | $(READY) $(DASHBOARD)
	@.ci/need $(LOADER) "strip:binutils:what takes names out of libraries"
	$(PY) packaging/binary/build.py
	touch $@

release: $(READY) binary packages ## all that people download, with sums, bill of materials and signatures: .build/release
	@$(PY) packaging/binary/release.py

packages: $(READY) binary ## the .deb and the .rpm, beside the binary in .build/dist
	@rm -f .build/dist/*.deb .build/dist/*.rpm
	$(PY) packaging/nfpm/build.py .build/dist/signalcraft-dir .build/dist

# --------------------------------------------------------------------------------------------------------- what is made
# Each is written beside its place first: what fails half-way leaves the old page.
gen: $(READY) $(MODULES) ## everything that is generated: the sample of the settings, reference pages, types
	@mkdir -p .build config docs/reference
	draw() { echo "$$1"; $(PY) -m "$${@:2}" > .build/drawn && mv .build/drawn "$$1"; }
	draw config/signalcraft.toml signalcraft.config --sample
	draw docs/reference/configuration.md signalcraft.config --reference
	draw docs/reference/cli.md signalcraft.cli --reference
	draw docs/reference/errors.md signalcraft.http errors
	draw docs/reference/metrics.md signalcraft.http metrics
	draw docs/reference/openapi.json signalcraft.http openapi
	draw docs/reference/signalcraft.http tests.security.collection
	draw docs/reference/database.md tests.house.database
	draw docs/reference/limits.md tests.house.bounds
	draw signalcraft/storage/schema.sql signalcraft.storage
	$(PY) -m tests.house.pages
	echo web/src/api/schema.d.ts
	$(NPM) run types

screenshots: $(READY) $(DASHBOARD) ## every page of the dashboard, light and dark, into docs/screenshots
	@.ci/need "chromium:chromium:the browser that draws them"
	$(PY) -m tests.e2e.screenshots $(ONLY)

fmt: $(READY) $(MODULES) ## format the code and mend what can be mended
	.venv/bin/ruff check --fix $(CODE)
	.venv/bin/ruff format $(CODE)
	$(NPM) run format
	$(NPM) exec -- eslint --fix .

lock: ## choose versions again, within pyproject.toml; UPGRADE=1 takes the newest
	@test -x .venv/bin/uv || $(MAKE) --no-print-directory build
	$(COMPILE) pyproject.toml -o runtime.lock.txt
	$(COMPILE) --group dev --constraint runtime.lock.txt pyproject.toml -o dev.lock.txt

clean: ## remove everything that make made
	rm -rf .venv .build dist build signalcraft/http/static web/node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: suite workflows pipeline coverage wheel smoke installed version-agrees signed-release staging production publish notify hooks binary release packages help build demo dev web test test-whole lint types bandit secrets audit test-oldest trial gate bench bench-regression gen screenshots fmt lock clean
