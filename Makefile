# Daily work. ./test prepares .venv and calls this; `make` alone tells what there is.

PYTHON ?= .venv/bin/python
PYTEST = $(PYTHON) -m pytest

.PHONY: help check quick style types imports fast stories slow thorough installed gateway oracle whole bench search searched mutants fuzz build schemas format wheel bundle lock sanitize clean unroot

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

QUICK = style types imports build fast

check: ## what quick does, every story in real time, the slow tests, the main ones installed
	@. hil/parts.sh && make_parts $(QUICK) searched stories slow installed

quick: ## style, types, import contracts and the tests that need no real time
	@. hil/parts.sh && make_parts $(QUICK)

style: ## ruff, formatting included
	@$(PYTHON) -m ruff check --quiet . && $(PYTHON) -m ruff format --quiet --check .

types: ## mypy, strict
	@$(PYTHON) -m mypy --no-error-summary

imports: ## who may import whom (pyproject.toml, [tool.importlinter])
	@said=$$($(PYTHON) -c 'from importlinter.cli import lint_imports_command as main; main()' \
		--no-logo) || { echo "$$said"; exit 1; }

fast: build ## tests, without what is marked rig or slow
	@$(PYTEST) -n $$(($$(nproc) + 1)) -m "not rig and not slow"  # some of them mostly wait

MISTAKES = tests/test_mistakes.py
DEMO = tests/test_embedded_broker.py

stories: build ## tests marked rig: every story on real processes and protocols, in real time; the demo beside them
	@mkdir -p build; $(PYTEST) -m rig $(DEMO) >build/demo.log 2>&1 & demo=$$!; \
		$(PYTEST) -m rig --ignore $(MISTAKES) --ignore $(DEMO); stories=$$?; \
		wait $$demo; demo=$$?; cat build/demo.log; exit $$((stories + demo))

slow: build ## tests marked slow: the wheel, hours of a depot's life; and the seeded mistakes, which mostly wait
	@mkdir -p build; $(PYTEST) -n 4 -m rig $(MISTAKES) >build/mistakes.log 2>&1 & mistakes=$$!; \
		$(PYTEST) -n auto --dist loadfile -m "slow and not rig"; slow=$$?; \
		wait $$mistakes; mistakes=$$?; cat build/mistakes.log; exit $$((slow + mistakes))

thorough: build ## the kernel's properties with all their random depots; ./test takes three of five
	@LOADKEEPER_THOROUGH=1 $(PYTEST) -n auto $$(grep -l "import depots" tests/test_*.py)

TREES ?= 20000

# Each way to fail, once: all of them at the same time.
MAIN = gateway_hangs gateway_latches gateway_power_cut gateway_probed gateway_upgrade

installed: ## the main ones of the gateway's stories, as ./test and CI tell them
	@$(MAKE) --no-print-directory gateway STORIES="$(MAIN)"

gateway: build ## all stories on the installed product under a real systemd; STORIES="…" for some
	@$(PYTHON) -m hil run --bench gateway --if-possible $(STORIES)

HOURS ?= 50
SEED ?= 1
JOBS ?= $(shell nproc)
searched: build
	@$(PYTHON) -m hil search --hours 50 --seed 1 --guarded 2

search: build ## random depots, days and faults, judged by what truly flows; HOURS=… SEED=… JOBS=…
	@$(PYTHON) -m hil search --hours $(HOURS) --seed $(SEED) --jobs $(JOBS)

mutants: build ## faults put into the kernel, one at a time: does somebody notice each? MUTANTS="words" for some, ALL_MEANS=1, KEEP=FILE to go on where it stopped
	@$(PYTHON) -m hil mutants $(if $(ALL_MEANS),--all-means) $(if $(KEEP),--keep $(KEEP)) $(MUTANTS)

RUNS ?= 100000

fuzz: build ## what comes from outside, fuzzed with atheris: RUNS executions a target (100000); TARGETS="…" for some
	@$(PYTHON) -m pip install --quiet $$($(PYTHON) -c 'import tomllib; print(*tomllib.load(open(\
	"pyproject.toml", "rb"))["project"]["optional-dependencies"]["fuzz"])')
	@$(PYTHON) -m tests.fuzz --runs $(RUNS) $(TARGETS)

.PHONY: mutate-profiles
mutate-profiles: build ## change each field of each device profile: do loading or a capture notice?
	@$(PYTHON) -m hil mutate-profiles $(PROFILES)

oracle: build ## fair shares against linear programs by HiGHS on TREES random trees (20000)
	@$(PYTHON) -m tests.compare --trees $(TREES)

HISTORIES ?= 2000

whole: build ## the kernel against a slow model of the whole tick, through HISTORIES random ones (2000)
	@$(PYTHON) -m tests.whole --histories $(HISTORIES)

bench: build ## measure every figure of docs/performance.md on this machine, and judge it
	@$(PYTHON) -m hil bench --json

build: ## the kernel's extension modules, in place
	@$(PYTHON) setup.py --quiet build_ext --inplace

schemas: ## write the JSON Schemas in docs/ from the models
	@$(PYTHON) -m hil schemas

.PHONY: devices
devices: ## write docs/devices.md from the profiles: each device, and what is proven about it
	@$(PYTHON) -m hil devices

format: ## put the code in order
	@$(PYTHON) -m ruff check --quiet --fix . ; $(PYTHON) -m ruff format --quiet .

wheel: ## build dist/*.whl and audit that it serves every Python since 3.11
	@rm -rf build/wheel build/lib* && mkdir -p dist
	@$(PYTHON) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	@$(PYTHON) -m abi3audit --strict build/wheel/*.whl && mv build/wheel/*.whl dist/

bundle: wheel ## dist/loadkeeper-VERSION and its .tar.gz: what goes to a gateway
	@$(PYTHON) -m hil bundle

# Versions that are locked stay; UPGRADE=--upgrade takes the newest that pyproject.toml bears.
LOCK = $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --custom-compile-command "make lock" $(UPGRADE)

lock: ## write systemd/requirements.txt and pins.txt, every file with its hash, and try them
	@$(PYTHON) -m pip install --quiet 'uv>=0.9'
	@mkdir -p build
	@$(LOCK) pyproject.toml -o systemd/requirements.txt >build/lock.log || { cat build/lock.log; exit 1; }
	@$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))\
	["project"]["optional-dependencies"]["pi"], sep="\n")' | \
		$(LOCK) - --no-deps -o systemd/pins.txt >build/lock.log || { cat build/lock.log; exit 1; }
	@$(PYTEST) tests/test_requirements.py

.PHONY: arm64 arm64agree python313
# Both need root; emulated, the first takes minutes, and the roots are made once.
ABROAD ?= bookworm-arm64
arm64: build ## dist/*_aarch64.whl, tested on emulated Debian 12; ABROAD=trixie-arm64 for 13
	@$(PYTHON) -m hil abroad $(ABROAD)

arm64agree: build ## only: does emulated arm64 decide as this machine does, black box included?
	@$(PYTHON) -m hil abroad bookworm-arm64 --agree

python313: build ## the wheel of this machine, tested on Debian's Python 3.13
	@$(PYTHON) -m hil abroad trixie-amd64

# A copy built with checks on every access and every arithmetic step. Python's own leaks are not ours.
CHECKED = build/sanitize
CHECKS = -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g
SANITIZED ?= tests

sanitize: ## the kernel's tests with gcc's sanitizers; SANITIZED="tests/test_x.py …" for some
	@rm -rf $(CHECKED) && mkdir -p $(CHECKED)
	@git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t $(CHECKED)
	@cd $(CHECKED) && CFLAGS="$(CHECKS)" $(abspath $(PYTHON)) setup.py --quiet build_ext --inplace
	@cd $(CHECKED) && ASAN_OPTIONS=detect_leaks=0:log_path=report UBSAN_OPTIONS=print_stacktrace=1 \
		LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
		PYTHONMALLOC=malloc $(abspath $(PYTHON)) -m pytest --capture=sys \
		-m "not rig and not slow" $(SANITIZED) \
		|| { cat report.* 2>/dev/null; exit 1; }

clean: ## remove all that was built, .venv stays
	@rm -rf build dist *.egg-info cext/*.so .*_cache .hypothesis
	@for source in cext/*.pyx; do rm -f "$${source%.pyx}.c"; done
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

unroot: ## remove the cached Debian roots of the gateway bench and of arm64
	@$(PYTHON) -c 'from hil.making.roots import clean; clean()'
