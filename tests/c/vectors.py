"""Turns tests/vectors/signature-vectors.json into a C table for test_sign.c and test_crc64.c.

The JSON file flows in, one header of plain data flows out; no expected value is computed here.

    python vectors.py signature-vectors.json vectors.h
"""

from __future__ import annotations

import calendar
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

HEADER = """/* vectors.h - made by vectors.py from signature-vectors.json. */
#ifndef OM_VECTORS_H
#define OM_VECTORS_H

#include <stddef.h>
#include <stdint.h>

typedef struct sign_vector {
    const char *id;
    int version, url;
    const char *method, *bucket, *key, *host, *headers, *query;
    const char *key_id, *key_secret, *token, *region, *product, *additional;
    int64_t now;
    uint32_t expires_s;
    const char *signature;
    const char *authorization; /* NULL: the source gives none */
    const char *added_query;   /* "name=value\\n" lines, values not encoded; "" in headers */
} sign_vector;

typedef struct crc_vector {
    const char *id, *data;
    size_t len;
    uint64_t crc;
} crc_vector;

typedef struct combine_vector {
    const char *id;
    uint64_t crc_a, crc_b, len_b, combined;
} combine_vector;
"""


def text(value: str | bytes | None) -> str:
    """A C string literal, every byte but plain ASCII as octal."""
    if value is None:
        return "NULL"
    data = value.encode() if isinstance(value, str) else value
    plain = (chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data)
    return '"' + "".join(plain) + '"'


def query_of(vector: dict[str, Any]) -> str:
    parts = []
    for name, value in vector["query"].items():
        part = quote(name, safe="")
        parts.append(part if value is None else f"{part}={quote(value, safe='')}")
    return "&".join(parts)


def place_of(vector: dict[str, Any]) -> tuple[str, str]:
    """Bucket and key. A resource without its final slash is what a lone key signs."""
    bucket, key = vector["bucket"] or "", vector["key"] or ""
    if vector["extra"].get("resource_path") == f"/{bucket}" and not key:
        return "", bucket
    return bucket, key


def sign_row(vector: dict[str, Any]) -> str:
    extra, expected = vector["extra"], vector["expected"]
    url = vector["mode"] == "query"
    now = calendar.timegm(time.strptime(vector["time"], "%Y%m%dT%H%M%SZ"))
    expires = extra.get("expires_seconds", 0)
    if "expires_unix" in extra:
        expires = 3600
        now = extra["expires_unix"] - expires
    headers = {n: v for n, v in vector["headers"].items() if n.lower() != "host"}
    host = next((v for n, v in vector["headers"].items() if n.lower() == "host"), "host.example")
    bucket, key = place_of(vector)
    added = expected.get("added_query", {})
    fields = [
        text(vector["id"]),
        vector["version"][1:],
        str(int(url)),
        *map(text, (vector["method"], bucket, key, host)),
        text("".join(f"{n}: {v}\n" for n, v in headers.items())),
        text(query_of(vector)),
        text(vector["access_key_id"] or "id"),
        text(vector["access_key_secret"]),
        text(vector["security_token"]),
        text(vector["region"]),
        text(extra.get("product")),
        text(";".join(vector["additional_headers"])),
        f"INT64_C({now})",
        f"{expires}u",
        text(expected["signature"]),
        text(expected.get("authorization")),
        text("".join(f"{n}={v}\n" for n, v in added.items())),
    ]
    return "    {" + ", ".join(fields) + "},"


def crc_row(vector: dict[str, Any]) -> str:
    data = bytes.fromhex(vector["data_hex"])
    crc = f"UINT64_C({vector['crc64_decimal']})"
    return f"    {{{text(vector['id'])}, {text(data)}, {len(data)}, {crc}}},"


def combine_row(vector: dict[str, Any]) -> str:
    names = ("crc_a", "crc_b", "len_b", "combined")
    values = ", ".join(f"UINT64_C({vector[name]})" for name in names)
    return f"    {{{text(vector['id'])}, {values}}},"


def table(kind: str, name: str, rows: list[str]) -> str:
    body = "\n".join(rows)
    return f"\nstatic const {kind} {name}[] = {{\n{body}\n}};\n"


def header_of(document: dict[str, Any]) -> str:
    signed = [
        vector
        for vector in document["vectors"]
        if vector["version"] in ("V1", "V4") and vector["mode"] in ("header", "query")
    ]
    if len(signed) < 40:
        raise SystemExit(f"only {len(signed)} signature vectors: the file is not the one meant")
    combined = [combine_row(vector) for vector in document["crc64_combine"]]
    return (
        HEADER
        + "\n#ifdef OM_SIGN_VECTORS"
        + table("sign_vector", "sign_vectors", [sign_row(vector) for vector in signed])
        + "#endif\n\n#ifdef OM_CRC_VECTORS"
        + table("crc_vector", "crc_vectors", [crc_row(vector) for vector in document["crc64"]])
        + table("combine_vector", "combine_vectors", combined)
        + "#endif\n\n#endif\n"
    )


def main(source: str, target: str) -> None:
    document = json.loads(Path(source).read_text(encoding="utf-8"))
    Path(target).write_text(header_of(document), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
