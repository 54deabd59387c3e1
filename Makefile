# The menu. Everything runs on a fresh machine with Python >= 3.11, its headers, and a C compiler.
PYTHON ?= python3
BIN := .venv/bin
TLS ?= loader
TOOLS := scikit-build-core cffi cmake ninja
SOURCES := pyproject.toml CMakeLists.txt $(wildcard csrc/*)

.PHONY: demo test c-test variants lint types fuzz loss kills vod-figures faults faults-full bench wheels arm clean

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

vod-figures: .venv/.test  ## uploads into VOD with 3-second tickets, kill -9, bad refreshes; figures in tests/routes/RESULTS.md
	$(BIN)/python -m tests.routes.ticket_figures --seed 4000

faults: .venv/.test    ## the network, the disk, the clock and the memory fail; figures in tests/faults/RESULTS.md
	$(BIN)/python -m pytest tests/faults

faults-full: .venv/.test  ## every fault run in full, about an hour; needs root, strace and libfaketime for some
	$(BIN)/python -m tests.faults --record

kills: .venv/.test    ## a camera that records HLS, killed with kill -9 at 100 random moments, in each mode
	$(BIN)/python -m tests.routes.hls_kills --kills 100

bench: .venv/.test     ## pytest-benchmark suites; ratios within one run
	$(BIN)/python -m pytest bench --benchmark-only

wheels: .venv/.wheels  ## six wheels by zig and the sdist into dist/, each checked
	$(BIN)/python .ci/wheels.py

arm: .venv/.wheels     ## the camera's tests in Debian's armhf and arm64 under qemu-user; needs mmdebstrap
	$(BIN)/python .ci/wheels.py armv7l-glibc aarch64-glibc
	$(BIN)/python .ci/arm.py

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

.venv/.wheels: .venv/.base
	$(BIN)/python -m pip install -q ziglang pyelftools abi3audit
	touch $@

clean:
	rm -rf build dist .venv
