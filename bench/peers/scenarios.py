"""The work that every client is given, and who takes part in it.

In flow names and a scale, out flow plain values. Nothing here runs anything.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MISSING_HERE", "MUST_RUN", "PEERS", "SCENARIOS", "SHORT", "Peer", "Scenario", "scaled"]

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SUITES = {"aes": "TLS_AES_128_GCM_SHA256", "chacha": "TLS_CHACHA20_POLY1305_SHA256"}
MISSING_HERE = ("OSS C SDK", "OSS Media C SDK")  # on no package index: never run, always named
MUST_RUN = ("ossmedia", "raw", "raw+crc", "raw+v4+crc")  # a run without one of them is broken


@dataclass(frozen=True)
class Peer:
    """One client. ``program``: of C, in the build folder; else ``package``, the module that must be
    there, in the benchmark's own environment (``own``: in the project's). ``slow`` ones do a part
    of the work, for the same figure."""

    name: str
    program: str = ""
    package: str = ""
    options: tuple[str, ...] = ()
    slow: int = 1
    own: bool = False


PEERS = {
    peer.name: peer
    for peer in (
        Peer("raw", "ossmedia_raw"),
        Peer("raw+crc", "ossmedia_raw", options=("--crc", "1")),
        Peer("raw+v4+crc", "ossmedia_raw", options=("--sign", "1", "--crc", "1")),
        Peer("libcurl+v4", "ossmedia_curl", options=("--sign", "1")),
        Peer("libcurl+v4+crc", "ossmedia_curl", options=("--sign", "1", "--crc", "1")),
        Peer("curl CLI", "curl"),
        Peer("ossmedia core", "ossmedia_core"),
        Peer("ossmedia", package="ossmedia", own=True),
        Peer("ossmedia writer", package="ossmedia", own=True),
        Peer("oss2", package="oss2", slow=5),
        Peer("alibabacloud-oss-v2", package="alibabacloud_oss_v2", slow=5),
        Peer("boto3", package="boto3", slow=5),
        Peer("boto3+crt", package="awscrt", slow=5),
        Peer("obstore", package="obstore"),
        Peer("opendal", package="opendal"),
    )
}
_OWN = ("ossmedia", "ossmedia writer")  # stored when a call returns; sent in the background
_C = ("raw", "raw+v4+crc", "libcurl+v4+crc")
_CORE = "ossmedia core"  # its C without Python
_SDKS = ("oss2", "alibabacloud-oss-v2")
_S3 = ("boto3", "boto3+crt", "obstore", "opendal")


@dataclass(frozen=True)
class Scenario:
    """``what`` to do: put, append, camera, file or parts; ``count`` times ``size`` bytes. ``base``:
    the peer that ratios are told against. ``per``: the figure's unit, "request" in us or "GiB" in
    s. ``crc``: off means that neither end computes one. ``pace``: frames a second; 0: at once."""

    name: str
    title: str
    what: str
    size: int
    count: int
    peers: tuple[str, ...]
    base: str = "raw"
    per: str = "request"
    crc: bool = True
    tls: str = ""
    pace: int = 0

    @property
    def suite(self) -> str:
        return SUITES.get(self.tls, "")


def _tls(suite: str, label: str) -> tuple[Scenario, ...]:
    """The limit computes a CRC, too: ossmedia always does."""
    own = ("raw+crc", "libcurl+v4+crc", "ossmedia")
    where = {"base": "raw+crc", "tls": suite}
    stream = (*own, "ossmedia writer")
    bulk, small = (*own, *_SDKS, "boto3", "obstore"), (*own, _CORE, *_SDKS, "obstore")
    one, put, frames = (f"{what}, TLS 1.3 {label}" for what in ("1 GiB", "64 KiB PUT", "camera"))
    return (
        Scenario(f"put-1g-{suite}", one, "put", GIB, 1, bulk, per="GiB", **where),
        Scenario(f"put-64k-{suite}", put, "put", 64 * KIB, 10_000, small, **where),
        Scenario(f"camera-{suite}", frames, "camera", 1, 20_000, stream, per="GiB", **where),
    )


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "put-1g",
            "1 GiB from memory",
            "put",
            GIB,
            1,
            (*_C, "ossmedia", *_SDKS, *_S3),
            per="GiB",
        ),
        Scenario(
            "put-1g-nocrc",
            "1 GiB from memory, no CRC",
            "put",
            GIB,
            1,
            ("raw", "libcurl+v4", "ossmedia", *_SDKS, "boto3", "obstore", "opendal"),
            per="GiB",
            crc=False,
        ),
        Scenario(
            "file-1g",
            "1 GiB from a file",
            "file",
            GIB,
            1,
            ("raw", "raw+v4+crc", "libcurl+v4+crc", "curl CLI", "ossmedia", *_SDKS, *_S3),
            per="GiB",
        ),
        Scenario(
            "put-64k",
            "64 KiB PUT",
            "put",
            64 * KIB,
            10_000,
            (*_C, _CORE, "ossmedia", *_SDKS, *_S3),
        ),
        Scenario(
            "put-64k-nocrc",
            "64 KiB PUT, no CRC",
            "put",
            64 * KIB,
            10_000,
            ("raw", "libcurl+v4", "ossmedia", *_SDKS, "boto3", "obstore", "opendal"),
            crc=False,
        ),
        Scenario(
            "append-256k",
            "256 KiB append",
            "append",
            256 * KIB,
            2_000,
            (*_C, _CORE, *_OWN, *_SDKS),
            base="raw+v4+crc",
        ),
        Scenario(
            "camera",
            "20,000 frames of 8-60 KiB, as fast as possible",
            "camera",
            1,
            20_000,
            (*_C, _CORE, *_OWN, *_SDKS, "obstore", "opendal"),
            per="GiB",
        ),
        Scenario(
            "camera-nocrc",
            "20,000 frames of 8-60 KiB, no CRC",
            "camera",
            1,
            20_000,
            ("raw", *_OWN, "obstore"),
            per="GiB",
            crc=False,
        ),
        Scenario(
            "camera-25",
            "frames of 8-60 KiB at 25 a second, 10 s",
            "camera",
            1,
            250,
            (*_OWN, *_SDKS, "obstore"),
            base="ossmedia",
            per="GiB",
            pace=25,
        ),
        Scenario(
            "parts-1g",
            "1 GiB from a file, parts of 8 MiB, 4 at once",
            "parts",
            8 * MIB,
            128,
            ("raw+crc", "raw+v4+crc", "ossmedia", *_SDKS, *_S3),
            base="raw+crc",
            per="GiB",
        ),
        *_tls("aes", "AES-128-GCM"),
        *_tls("chacha", "ChaCha20-Poly1305"),
    )
}
SHORT = ("put-64k", "append-256k", "camera")


def scaled(scenario: Scenario, scale: float, peer: Peer) -> tuple[int, int]:
    """Bytes of one operation and how many: many small ones become fewer, one large one smaller;
    never so small that the figure would be another."""
    size, count = scenario.size, scenario.count
    if scenario.pace:
        return size, max(round(count * min(scale, 1)), scenario.pace)
    if count > 1:
        count = max(round(count * scale), 16)
    else:
        size = max(round(size * scale) // MIB * MIB, 16 * MIB)
    if peer.slow > 1 and scenario.what in ("put", "append", "camera") and count > 100:
        count = max(count // peer.slow, 100)
    return size, count
