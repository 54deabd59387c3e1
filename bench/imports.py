"""What a camera pays before its first byte leaves: CPU time and resident memory of a fresh process,
over those of a bare interpreter forked in the same round. The package stands in a folder as a wheel
leaves it: an editable install finds its modules by importlib.util, which costs 6 ms alone."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from statistics import median

import pytest

from bench.rounds import record
from bench.sink import BUCKET, REGION

FORKS = 11
KIB, MB = 1024, 1_000_000
GOALS = {"import": 4 * MB, "first HTTPS PUT": 9 * MB}  # resident, over bare Python

CHILD = """
import sys
sys.path[:0] = {folders!r}
import time
{work}
cpu = time.process_time()
try:
    with open("/proc/self/smaps_rollup") as f: lines = f.readlines()
except OSError:
    with open("/proc/self/status") as f: lines = f.readlines()
kib = next(int(line.split()[1]) for line in lines if line.startswith(("Rss:", "VmRSS:")))
print(cpu, kib)
"""
IMPORT = "from ossmedia import Bucket, Credentials"
HTTPS = """
from ossmedia import Bucket, Credentials
key_id, secret = sys.argv[3:]
bucket = Bucket({bucket!r}, endpoint=sys.argv[1], region={region!r}, ca_file=sys.argv[2],
                credentials=Credentials(key_id, secret))
with bucket.open("camera/first", "wb", block_size=102_400, blocks=2) as f: f.write(bytes(1024))
"""
PLAIN_BUCKET = IMPORT + "; Bucket('b' * 3, region='cn-hangzhou', credentials=Credentials('a', 'b'))"


@functools.cache
def installed():
    """Where the package stands as a wheel leaves it, and what keeps that folder."""
    folder = tempfile.TemporaryDirectory()
    package = Path(folder.name, "ossmedia")
    for name in ("ossmedia", "ossmedia._core"):
        origin = Path(importlib.util.find_spec(name).origin)
        if origin.suffix == ".py":
            shutil.copytree(origin.parent, package, ignore=shutil.ignore_patterns("*.so"))
        else:
            shutil.copy(origin, package)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True)
    return folder.name, folder


def fork(work, *arguments):
    """CPU seconds and resident bytes of a fresh interpreter that did `work`, without site, whose
    .pth files would bring the editable install."""
    folders = [installed()[0], sysconfig.get_path("platlib")]
    child = CHILD.format(folders=folders, work=work)
    command = [sys.executable, "-I", "-S", "-c", child, *arguments]
    cpu, kib = subprocess.run(command, capture_output=True, check=True).stdout.split()
    return float(cpu), int(kib) * KIB


def over_bare(benchmark, title, cases):
    """Forks every case and a bare interpreter in the same rounds; medians of the differences."""
    costs = {name: [] for name in cases}

    def forks():
        bare = fork("")
        for name, case in cases.items():
            found = case()
            costs[name].append([own - base for own, base in zip(found, bare, strict=True)])

    benchmark.pedantic(forks, rounds=FORKS, warmup_rounds=1)
    cpu = {name: median(cost[0] for cost in found) * 1000 for name, found in costs.items()}
    rss = {name: median(cost[1] for cost in found) for name, found in costs.items()}
    record(benchmark, title, "ms CPU over bare Python", cpu, {})
    record(benchmark, title, "KiB over bare Python", {n: v / KIB for n, v in rss.items()}, {})
    rounds = {f"{name}, CPU ms": [one[0] * 1000 for one in costs[name]] for name in cases}
    rounds |= {f"{name}, resident": [one[1] for one in costs[name]] for name in cases}
    benchmark.extra_info.update(cpu_ms=cpu, resident_bytes=rss, rounds=rounds)
    return rss


def test_import(benchmark):
    peers = [n for n in ("oss2", "alibabacloud_oss_v2") if importlib.util.find_spec(n)]
    cases = {
        "ossmedia": functools.partial(fork, IMPORT),
        "with a Bucket": functools.partial(fork, PLAIN_BUCKET),
        **{name: functools.partial(fork, f"import {name}") for name in peers},
    }
    rss = over_bare(benchmark, "import", cases)
    assert rss["ossmedia"] <= GOALS["import"]
    assert rss["with a Bucket"] <= GOALS["import"]


@pytest.fixture
def tls_cloud(tmp_path):
    """The local cloud speaking https, in this process; the camera is another."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is needed to make a certificate")
    from ossmedia.emulator.serve import Emulator

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    make += " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)
    with Emulator(buckets=[BUCKET], region=REGION, tls_cert=certificate, tls_key=key) as cloud:
        yield cloud.endpoint, str(certificate), cloud.access_key_id, cloud.access_key_secret


def test_first_https_put(benchmark, tls_cloud):
    work = HTTPS.format(bucket=BUCKET, region=REGION)
    case = functools.partial(fork, work, *tls_cloud)
    rss = over_bare(benchmark, "first HTTPS PUT", {"ossmedia": case})
    assert rss["ossmedia"] <= GOALS["first HTTPS PUT"]
