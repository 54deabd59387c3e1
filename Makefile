# The menu. Everything runs on a fresh machine with Python >= 3.11, its headers, and a C compiler.
PYTHON ?= python3
BIN := .venv/bin
TLS ?= loader
TOOLS := scikit-build-core cffi cmake ninja
SOURCES := pyproject.toml CMakeLists.txt $(wildcard csrc/*)

.PHONY: demo test c-test variants lint types fuzz loss bench clean

demo: .venv/.demo      ## local cloud, token from STS, a camera that uploads, a receipt
	$(BIN)/ossmedia demo

test: .venv/.test c-test  ## the whole suite: C under ASan + UBSan, then Python
	$(BIN)/python -m pytest

c-test: .venv/.test    ## C tests, ASan + UBSan, warnings as errors; TLS=loader, system or none
	$(BIN)/cmake -S . -B build/c-$(TLS) -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	  -DPython3_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCMAKE_BUILD_TYPE=Debug -DOSSMEDIA_WERROR=ON \
	  -DOSSMEDIA_TLS=$(TLS) --log-level=WARNING
	$(BIN)/cmake --build build/c-$(TLS)
	$(BIN)/ctest --test-dir build/c-$(TLS) --output-on-failure

variants:              ## the C tests with OpenSSL linked, and with no TLS at all
	$(MAKE) c-test TLS=system
	$(MAKE) c-test TLS=none

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/mypy

fuzz: .venv/.test      ## libFuzzer (clang), 60 s each
	$(BIN)/cmake -S . -B build/fuzz -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DCMAKE_C_COMPILER=clang \
	  -DPython3_EXECUTABLE=$(CURDIR)/$(BIN)/python -DOSSMEDIA_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
	$(BIN)/cmake --build build/fuzz
	for f in build/fuzz/fuzz_*; do test -x $$f && test -f $$f && { $$f -max_total_time=60 -timeout=5 || exit 1; }; done

loss: .venv/.test      ## 2,000 random fault sequences against a bytes model; figures in tests/routes/RESULTS.md
	$(BIN)/python -m tests.routes.stream_model --runs 2000 --seed 20000

bench: .venv/.test     ## pytest-benchmark suites; ratios within one run
	$(BIN)/python -m pytest bench --benchmark-only

.venv/.base: $(SOURCES)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -U pip
	$(BIN)/python -m pip install -q $(TOOLS)
	touch $@

.venv/.demo: .venv/.base
	$(BIN)/python -m pip install -q --no-build-isolation -e '.[demo]'
	touch $@

.venv/.test: .venv/.base
	$(BIN)/python -m pip install -q --no-build-isolation -e '.[test]'
	touch $@

clean:
	rm -rf build dist .venv
