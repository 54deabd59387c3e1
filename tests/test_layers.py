"""The house's plan, held by a test: every import and every #include points down, and each border
has one door."""

import ast
import re
from pathlib import Path

import pytest

import ossmedia

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ossmedia"

# Lowest first; a module may import from lower rows, and from its own row where its name is behind
# another's.
PYTHON_LEVELS = [
    ["journal"],
    ["arguments", "errors", "headers", "model", "clock", "address", "policy", "answer", "libssl"],
    ["process"],
    ["terminal"],
    ["gate", "checkpoint", "ticket", "vod_fields", "vod_answers"],
    ["capture_time", "access_units", "picture_order", "clocked", "playlist", "hls_keys"],
    ["failures"],
    ["_core"],
    ["_native"],
    ["_native_stream", "_native_ts"],
    ["generations"],
    ["retry", "credentials", "answer_xml", "listing"],
    ["core_sdk"],
    ["session", "sts", "device_auth", "device_link", "app_server", "report", "vod_tickets"],
    ["vod_api"],
    ["pump", "reader"],
    ["gather"],
    ["writer", "upload", "put"],
    ["multipart"],
    ["resumable"],
    ["spool_values", "spool_owner", "spool_blocks", "spool_files", "spool_reading", "spool_item"],
    ["spool_state", "spool_survey", "spool_recovery", "spool_room", "spool_shelf"],
    ["spool_commit", "spool_policy"],
    ["spool_link", "spool_ledger", "spool_append", "spool_whole", "spool_drain", "spool_intake"],
    ["spool_news", "spool_writer", "spool"],
    ["appender"],
    ["segments", "preroll", "hls_queue", "playlist_object", "publisher", "hls_worker", "hls"],
    ["bucket"],
    ["vod_transfer"],
    ["vod"],
    ["vod_commands", "hls_commands", "spool_commands"],
    ["demo_frames", "demo_site", "demo_live", "demo", "commands"],
    ["cli"],
    ["__main__"],
]

BORDER = ("_native", "_native_stream", "_native_ts")

# The application server's own, lowest first. It stands on the library up to vod_api, and nothing of
# the library but the command line knows it.
SERVER_LEVELS = [
    ["setting_checks"],
    ["vod_settings"],
    ["problems", "metrics", "batches", "budget", "sealing", "schema", "settings", "passwords"],
    ["database", "proxy_identity", "edge", "bodies"],
    ["devices", "nonces", "people", "sessions", "tries", "recordings"],
    ["authentication", "tokens"],
    ["cache", "wishes", "sign_in", "page", "device_door"],
    ["sightings", "segments", "recording_facts", "runs", "callback_keys"],
    ["recording_queries"],
    ["oss_access", "catalogue", "playlists"],
    ["archive", "recording_forms"],
    ["streams", "reconcile", "retention", "reports", "callbacks"],
    ["vod_events", "vod_media", "vod_calls", "vod_wishes"],
    ["vod_uploads", "vod_routes", "vod_parts"],
    ["errands", "recordings_api"],
    ["parts", "copying"],
    ["app", "wire"],
    ["serve"],
    ["people_commands", "page_commands", "recordings_commands"],
    ["commands", "__init__"],
]

# Lowest first; a source may include the headers of earlier rows and of its own row.
C_LEVELS = [
    ["cpu", "error", "harden", "text", "hash", "crc64", "body"],
    ["request", "sign", "response", "answer", "endpoint", "blocks", "tls", "net"],
    ["http"],
    ["store"],
    ["upload", "append"],
    ["stream", "ts"],
]

C_SOURCES = sorted((ROOT / "csrc").glob("*.[ch]"))
PYTHON_SOURCES = sorted(PACKAGE.rglob("*.py"))


def imports_of(path):
    """Names of the ossmedia modules that a file imports at run time or for types."""
    package = ["ossmedia", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("ossmedia"))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module.startswith("ossmedia"):
                for alias in node.names:
                    inner = f"{module}.{alias.name}"
                    known = (ROOT / inner.replace(".", "/")).with_suffix(".py").exists()
                    yield inner if known or (ROOT / inner.replace(".", "/")).is_dir() else module


def level_of(name, levels):
    for number, row in enumerate(levels):
        if name in row:
            return number
    raise AssertionError(f"{name} has no level: add it to tests/test_layers.py where it belongs")


@pytest.mark.parametrize(
    "path", [p for p in PYTHON_SOURCES if p.parent == PACKAGE], ids=lambda p: p.stem
)
def test_python_imports_point_down(path):
    if path.stem == "__init__":
        return
    own = level_of(path.stem, PYTHON_LEVELS)
    for name in imports_of(path):
        part = name.split(".")[1] if "." in name else ""
        if not part:
            # `from ossmedia import Bucket`: the public names, for the programs on top only.
            assert own >= level_of("demo", PYTHON_LEVELS), f"{path.stem} imports the package itself"
        elif part == "server":
            assert path.stem == "cli", f"{path.stem} imports the application server"
        elif part == "emulator":
            assert path.stem in ("cli", "demo"), f"{path.stem} imports the emulator"
        else:
            other = level_of(part, PYTHON_LEVELS)
            row = PYTHON_LEVELS[own]
            down = other < own or (other == own and row.index(part) < row.index(path.stem))
            assert down, f"{path.stem} imports {part}"


@pytest.mark.parametrize(
    "path", [p for p in PYTHON_SOURCES if p.parent == PACKAGE / "server"], ids=lambda p: p.stem
)
def test_the_servers_imports_point_down(path):
    own = level_of(path.stem, SERVER_LEVELS)
    for name in imports_of(path):
        parts = name.split(".")
        if parts[:2] == ["ossmedia", "server"]:
            if len(parts) > 2:
                assert level_of(parts[2], SERVER_LEVELS) <= own, f"{path.stem} imports {parts[2]}"
                assert parts[2] != path.stem
        else:
            assert len(parts) > 1, f"{path.stem} imports the package itself"
            highest = level_of("vod_api", PYTHON_LEVELS)
            assert level_of(parts[1], PYTHON_LEVELS) <= highest, f"{path.stem} imports {parts[1]}"


@pytest.mark.parametrize("path", PYTHON_SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_borders_of_python(path):
    relative = path.relative_to(PACKAGE)
    for name in imports_of(path):
        if relative.parts[0] == "emulator":
            assert name.startswith("ossmedia.emulator"), (
                f"the judge shares code with the judged: {name}"
            )
        if name == "ossmedia._core":
            assert path.stem in BORDER, "only the border sees the C core"


def c_module(stem):
    """The row's name that a file belongs to: text_date.c is part of text."""
    known = [name for row in C_LEVELS for name in row]
    parts = {"md5": "hash", "sha256": "hash", "signer": "sign"}
    stem = parts.get(stem.split("_")[0], stem)
    found = [name for name in known if stem == name or stem.startswith(name + "_")]
    assert found, f"{stem} has no level: add it to tests/test_layers.py"
    return max(found, key=len)


@pytest.mark.parametrize(
    "path", [p for p in C_SOURCES if p.stem != "ossmedia"], ids=lambda p: p.name
)
def test_c_includes_point_down(path):
    text = path.read_text(encoding="utf-8")
    own = level_of(c_module(path.stem), C_LEVELS)
    for included in re.findall(r'#include "(\w+)\.h"', text):
        if included != "ossmedia":
            assert level_of(c_module(included), C_LEVELS) <= own, (
                f"{path.name} includes {included}.h"
            )


@pytest.mark.parametrize("path", C_SOURCES, ids=lambda p: p.name)
def test_borders_of_c(path):
    text = path.read_text(encoding="utf-8")
    if c_module(path.stem) != "tls" if path.stem != "ossmedia" else True:
        assert not re.search(r"\bSSL_\w+\(|\bBIO_\w+\(|\bX509_\w+\(", text), (
            "only tls knows OpenSSL's names"
        )
    if path.stem != "net":
        assert not re.search(r"\b(socket|connect|getaddrinfo)\(", text), "only net opens sockets"
    assert "printf(stderr" not in text
    assert "getenv(" not in text or c_module(path.stem) == "tls", (
        "no setting comes from the environment"
    )


@pytest.mark.parametrize("path", C_SOURCES, ids=lambda p: p.name)
def test_c_lines_fit(path):
    long = [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 100]
    assert not long


def test_the_border_fits_in_a_hand():
    marked = (ROOT / "csrc/ossmedia.h").read_text(encoding="utf-8")
    marked = marked.split("/* cdef: begin */")[1].split("/* cdef: end */")[0]
    code = re.sub(r"/\*.*?\*/", "", marked, flags=re.DOTALL)
    functions = re.findall(r"\bom_\w+\s*\(", code)
    assert 0 < len(functions) <= 24
    assert not re.search(r"\(\s*\*", code), "no function pointer crosses the border"
    assert not re.search(r"\b(time_t|off_t|long|ssize_t)\b", code), (
        "no type whose size differs by platform"
    )


@pytest.mark.parametrize(
    "path",
    sorted(
        p
        for folder in ("csrc", "ossmedia", "tests", "bench")
        for p in (ROOT / folder).rglob("*")
        if p.suffix in (".py", ".c", ".h") and p.name != "crc64_table.h"
    ),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_files_stay_small(path):
    limit = 400 if path.relative_to(ROOT).parts[0] in ("csrc", "ossmedia") else 500
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


def test_public_names():
    listed = ossmedia.__all__
    assert sorted(listed) == sorted(set(listed))
    for name in listed:
        assert getattr(ossmedia, name) is not None
    assert set(listed) <= set(dir(ossmedia))
