# The menu. Everything runs on a fresh machine with Python >= 3.11, its headers, and a C compiler.
PYTHON ?= python3
BIN := .venv/bin
TLS ?= loader
OPENSSL_SOURCE ?=
TOOLS := scikit-build-core cffi cmake ninja
SECONDS_EACH ?= 60
SOURCES := pyproject.toml CMakeLists.txt $(wildcard csrc/*)

.PHONY: demo test c-test variants lint types fuzz fuzz-full asan asan-full tsan valgrind coverage tidy loss kills vod-figures faults faults-full bench bench-full bench-parts peers wheels static arm pythons python-3.14t clean

demo: .venv/.demo      ## local cloud, token from STS, a camera that uploads, a receipt
	$(BIN)/ossmedia demo

test: .venv/.test c-test  ## the whole suite: C under ASan + UBSan, then Python
	$(BIN)/python -m pytest

c-test: .venv/.test    ## C tests, ASan + UBSan, warnings as errors; TLS=loader, system, static or none
	$(BIN)/cmake -S . -B build/c-$(TLS) -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	  -DPython3_EXECUTABLE=$(CURDIR)/$(BIN)/python -DCMAKE_BUILD_TYPE=Debug -DOSSMEDIA_WERROR=ON \
	  -DOSSMEDIA_TLS=$(TLS) -DOSSMEDIA_OPENSSL_SOURCE=$(OPENSSL_SOURCE) --log-level=WARNING
	$(BIN)/cmake --build build/c-$(TLS)
	$(BIN)/ctest --test-dir build/c-$(TLS) --output-on-failure

variants:              ## the C tests with OpenSSL linked, dynamically and statically, and with no TLS at all
	$(MAKE) c-test TLS=system
	$(MAKE) c-test TLS=static
	$(MAKE) c-test TLS=none

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.test
	$(BIN)/mypy

fuzz: .venv/.fuzz      ## libFuzzer (clang; atheris where it can be installed), 60 s each
	$(BIN)/cmake -S . -B build/fuzz -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -DCMAKE_C_COMPILER=clang \
	  -DPython3_EXECUTABLE=$(CURDIR)/$(BIN)/python -DOSSMEDIA_FUZZ=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
	$(BIN)/cmake --build build/fuzz
	$(BIN)/python -m tests.fuzz.campaign --seconds $(SECONDS_EACH)
	$(BIN)/python -m tests.fuzz.python_parsers --runs 20000

fuzz-full: SECONDS_EACH = 1
fuzz-full: fuzz        ## 20,000,000 executions of each parser; figures in tests/fuzz/RESULTS.md
	$(BIN)/python -m tests.fuzz.campaign --executions 20000000 --seconds 3600 --record
	$(BIN)/python -m tests.fuzz.python_parsers --runs 1000000

asan: .venv/.test      ## the Python tests next to the core, with the module under ASan and UBSan
	$(BIN)/python .ci/sanitized_suite.py near

asan-full: .venv/.test ## every Python test so, an hour or more; figures in .ci/SANITIZERS.md
	$(BIN)/python .ci/sanitized_suite.py

tsan: .venv/.test      ## the C tests with threads under TSan (clang)
	$(BIN)/python .ci/sanitizers.py tsan

valgrind: .venv/.test  ## one upload of each kind, as built for production
	$(BIN)/python .ci/sanitizers.py valgrind

coverage: .venv/.test  ## gcov of the C tests: lines and branches of each file
	$(BIN)/python .ci/coverage.py

tidy: .venv/.test      ## clang-tidy of csrc/: bugprone, analyzer, cert; what is off stands in .clang-tidy
	$(BIN)/python .ci/tidy.py

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

bench: .venv/.test     ## the short set against the peers that are there: ratios of interleaved rounds, 1-4 minutes
	$(BIN)/python -m bench.peers put-64k append-256k camera --rounds 5 --scale 0.25

peers: .venv/.test     ## the peers' own environment, from the package index
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install -q oss2 alibabacloud-oss-v2 boto3 awscrt obstore opendal

bench-full: .venv/.test  ## every scenario on a quiet machine; refreshes bench/RESULTS.md and bench/peers.svg
	$(BIN)/python -m bench.peers all --rounds 7 --scale 0.25 --record --plot

bench-parts: .venv/.test  ## pytest-benchmark suites of our own parts
	$(BIN)/python -m pytest bench --benchmark-only

wheels: .venv/.wheels  ## six wheels by zig and the sdist into dist/, each checked
	$(BIN)/python .ci/wheels.py

static: .venv/.wheels  ## a wheel that carries the pinned OpenSSL; OPENSSL_SOURCE=openssl-VERSION.tar.gz, see csrc/cross/openssl.cmake
	test -n "$(OPENSSL_SOURCE)"
	OSSMEDIA_TLS=static OSSMEDIA_OPENSSL_SOURCE=$(abspath $(OPENSSL_SOURCE)) \
	  $(BIN)/python -m pip wheel -q --no-deps --no-build-isolation -C build-dir=build/static -w build/static-wheel .
	$(BIN)/python .ci/wheel_check.py build/static-wheel/*.whl

arm: .venv/.wheels .venv/.test  ## the camera's tests in Debian's armhf and arm64 under qemu-user; needs mmdebstrap
	$(BIN)/python .ci/wheels.py armv7l-glibc aarch64-glibc
	$(BIN)/python .ci/c_on_musl.py
	$(BIN)/python .ci/arm.py --record

pythons: .venv/.wheels ## the x86-64 wheel and the camera's tests in Python 3.11 to 3.14, the machine's or Debian's
	$(BIN)/python .ci/wheels.py x86_64-glibc
	$(BIN)/python .ci/pythons.py --record

python-3.14t: .venv/.wheels  ## nightly, where a free-threaded python3.14t is on PATH: abi3 is not for it, so it builds from the sdist
	$(BIN)/python .ci/pythons.py --from-source 3.14t

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

.venv/.fuzz: .venv/.test
	-$(BIN)/python -m pip install -q 'atheris>=3'
	touch $@

.venv/.wheels: .venv/.base
	$(BIN)/python -m pip install -q ziglang pyelftools abi3audit
	touch $@

clean:
	rm -rf build dist .venv
