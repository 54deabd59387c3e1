"""What users write ends up in request lines and headers: none of it becomes a line of its own. A
server of sockets writes down every line that comes; each string is refused before anything is sent,
or leaves exactly the lines that a harmless one leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ossmedia import Bucket, Credentials, Retry
from ossmedia._native import ADDRESS_PATH, Store
from tests.routes.hostile_answers import Right, right_answer, wire
from tests.routes.raw_server import RawServer, Request

LINE = "X-Injected: 1"
REQUEST = "GET /smuggled HTTP/1.1\r\nHost: other\r\n\r\n"
# What some parser, decoder or encoder somewhere takes for the end of a line.
ENDS = (
    *("\r\n", "\n", "\r", "\n\r", "\r\r\n", "\r\n ", "\r\n\t", "\0\r\n", "\r\0\n", "\x0b", "\x0c"),
    *("\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\0", "\x7f", "\x1b", "\t", " \n"),
    *("%0d%0a", "%0D%0A", "%250d%250a", "%0a", "%00", "\\r\\n", "&#13;&#10;", "=0D=0A", "+\r\n+"),
    *("\u010d\u010a", "\u560d\u560a", "\uff0d\uff0a", "\u240d\u240a", "\U0001f60d\n"),
)
STRINGS = [
    *(f"a{end}{LINE}" for end in ENDS),
    f"\r\n{LINE}",
    f"a HTTP/1.1\r\n{LINE}\r\nx: y",
    f"a\r\n\r\n{REQUEST}",
    f"a\n\n{REQUEST}",
    f"a\r\nContent-Length: 0\r\n\r\n{REQUEST}",
    f"a\r\nTransfer-Encoding: chunked\r\n{LINE}",
    f"a{chr(13)}{chr(10)}Authorization: none\r\n{LINE}",
    "a\n",
    "a\r",
    "a\r\n",
]
HARMLESS = "harmless"
ABSENT = Right("404 Not Found", [("x-oss-request-id", "1")], b"", length=False)


def answer(request: Request) -> Iterator[bytes | None]:
    if request.method == "CONNECT":
        yield b"HTTP/1.1 200 OK\r\n\r\n"
    else:
        appending = request.method == "HEAD" and "to-append" in request.target
        yield wire(ABSENT if appending else right_answer(request))
    yield None


def bucket_at(port: int, **changed: object) -> Bucket:
    given = {
        "name": "cams",
        "endpoint": f"http://127.0.0.1:{port}",
        "region": "cn-hangzhou",
        "credentials": Credentials("LTAIkey", "secret"),
        "retry": Retry(attempts=1, give_up_after_s=0.01),
        **changed,
    }
    return Bucket(given.pop("name"), **given)


def with_bucket(use: Callable[[Bucket, str], object]) -> Callable[[int, str], None]:
    def run(port: int, text: str) -> None:
        with bucket_at(port) as bucket:
            use(bucket, text)

    return run


def made_with(field: str) -> Callable[[int, str], None]:
    def run(port: int, text: str) -> None:
        # The harmless one stays itself: another bucket name is a line like any other.
        with bucket_at(port, **{field: text}) as bucket:
            bucket.put("k", b"x")

    return run


def append(bucket: Bucket, text: str) -> None:
    with bucket.open(f"to-append{text}", "ab") as file:
        file.write(b"x")


def read(bucket: Bucket, text: str) -> None:
    with bucket.open(text) as file:
        file.read(1)


def endpoint(port: int, text: str) -> None:
    with bucket_at(port, endpoint=f"http://127.0.0.1:{port}/{text}") as bucket:
        bucket.put("k", b"x")


def host(port: int, text: str) -> None:
    """The host that a proxy is asked for."""
    with bucket_at(
        port,
        endpoint=f"https://{text}.example.com",
        proxy=f"http://127.0.0.1:{port}",
        connect_timeout_s=0.05,
    ) as bucket:
        bucket.put("k", b"x")


def proxy(port: int, text: str) -> None:
    with bucket_at(port, proxy=f"http://127.0.0.1:{port}{text}") as bucket:
        bucket.put("k", b"x")


def temporary(field: str) -> Callable[[int, str], None]:
    def run(port: int, text: str) -> None:
        given = {"access_key_id": "LTAIkey", "access_key_secret": "s", "security_token": "t"}
        with bucket_at(port, credentials=Credentials(**{**given, field: text})) as bucket:
            bucket.put("k", b"x")

    return run


def core(field: str) -> Callable[[int, str], None]:
    """Straight to the C core, as if Python had checked nothing."""

    def run(port: int, text: str) -> None:
        made = {"bucket": "cams", "region": "cn-hangzhou", "endpoint": f"http://127.0.0.1:{port}"}
        asked = {"key": "k", "query": "", "headers": ""}
        keys = {"access_key_id": "LTAIkey", "access_key_secret": "s", "security_token": "t"}
        for place in (made, asked, keys):
            if field in place:
                place[field] = f"x-a: {text}\n" if field == "headers" else text
        store = Store(address=ADDRESS_PATH, **made)
        try:
            # Past Credentials' own checks, which would refuse first.
            store.set_credentials(type("Unchecked", (), keys))  # type: ignore[arg-type]
            store.exchange("PUT", body=b"x", **asked)
        finally:
            store.close()

    return run


def header(name: str) -> Callable[[int, str], None]:
    return with_bucket(lambda bucket, text: bucket.put("k", b"x", headers={name: text}))


FIELDS: dict[str, Callable[[int, str], None]] = {
    "key, put": with_bucket(lambda bucket, text: bucket.put(text, b"x")),
    "key, append": with_bucket(append),
    "key, read": with_bucket(read),
    "key, stat": with_bucket(lambda bucket, text: bucket.stat(text)),
    "key, delete": with_bucket(lambda bucket, text: bucket.delete(text)),
    "prefix": with_bucket(lambda bucket, text: list(bucket.list(text))),
    "delimiter": with_bucket(lambda bucket, text: list(bucket.list("", text))),
    "content type": with_bucket(lambda bucket, text: bucket.put("k", b"x", content_type=text)),
    "metadata name": with_bucket(lambda bucket, text: bucket.put("k", b"x", metadata={text: "v"})),
    "metadata value": with_bucket(lambda bucket, text: bucket.put("k", b"x", metadata={"n": text})),
    "header name": with_bucket(lambda bucket, text: bucket.put("k", b"x", headers={text: "v"})),
    "header value": header("Cache-Control"),
    "tagging": header("x-oss-tagging"),
    "storage class": header("x-oss-storage-class"),
    "callback": header("x-oss-callback"),
    "callback variables": header("x-oss-callback-var"),
    "bucket": made_with("name"),
    "region": made_with("region"),
    "endpoint": endpoint,
    "endpoint's host": host,
    "proxy": proxy,
    "access key id": temporary("access_key_id"),
    "access key secret": temporary("access_key_secret"),
    "token": temporary("security_token"),
    "core: key": core("key"),
    "core: query": core("query"),
    "core: headers": core("headers"),
    "core: bucket": core("bucket"),
    "core: region": core("region"),
    "core: endpoint": core("endpoint"),
    "core: access key id": core("access_key_id"),
    "core: access key secret": core("access_key_secret"),
    "core: token": core("security_token"),
}
# What no string may take the place of; the others are also tried with a harmless one.
NEVER = {"endpoint", "endpoint's host", "proxy", "core: endpoint"}


def names_of(head: bytes) -> list[bytes]:
    """The request line's method and the header names in order, of a head with nothing else in
    it."""
    assert head.endswith(b"\r\n\r\n")
    first, *rest = head[:-4].split(b"\r\n")
    assert first.count(b" ") == 2
    assert first.endswith(b" HTTP/1.1")
    for line in [first, *rest]:
        assert not {b"\r", b"\n", b"\0"} & {line[at : at + 1] for at in range(len(line))}
    return [first.split(b" ")[0], *(line.split(b":")[0] for line in rest)]


def strings_for(field: str) -> list[str]:
    """The core's headers are lines that end with LF, by contract; the rest must not end one."""
    return [text for text in STRINGS if field != "core: headers" or "\n" not in text]


def refusal(call: Callable[[], object]) -> Exception | None:
    """The caller's mistake; a network error is none, and goes on up."""
    try:
        call()
    except (ValueError, TypeError) as error:
        return error
    return None


def test_there_are_enough() -> None:
    assert len(set(STRINGS)) >= 40
    assert len(FIELDS) >= 12


@pytest.mark.parametrize("field", FIELDS)
def test_no_line_more(field: str) -> None:
    run = FIELDS[field]
    with RawServer(answer) as server:
        usual: list[list[bytes]] = []
        if field not in NEVER:
            run(server.port, HARMLESS)
            usual = [names_of(head) for head in server.heads]
            assert usual
        for text in strings_for(field):
            server.heads.clear()
            error = refusal(lambda: run(server.port, text))  # noqa: B023
            if error is not None:
                assert server.heads == [], (field, text)
                assert str(error)
                continue
            came = [names_of(head) for head in server.heads]
            assert [sorted(names) for names in came] == [
                sorted(name.replace(HARMLESS.encode(), text.lower().encode()) for name in names)
                for names in usual
            ], (field, text)


@pytest.mark.parametrize("text", STRINGS, ids=lambda text: ascii(text)[1:-1][:40])
def test_a_presigned_url_is_one_line(text: str) -> None:
    with bucket_at(1) as bucket:
        urls: list[str] = []
        error = refusal(lambda: urls.append(bucket.presign(text)))
    assert error is None or str(error).startswith("key: ")
    for url in urls:
        assert url.isascii()
        assert url.isprintable()
        assert " " not in url
