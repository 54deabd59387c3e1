"""AppendObject: the position is the truth, and of two writers at one position exactly one wins."""

from __future__ import annotations

import base64
import hashlib
import random
import threading

import pytest

from ossmedia.emulator import crc64


def test_each_append_answers_the_next_position_and_the_crc_of_all(client):
    whole = b""
    for size in (0, 1, 1000, 70_000, 300_000, 5):
        piece = random.Random(size).randbytes(size)
        reply = client.append("log", len(whole), piece)
        whole += piece
        assert reply.status == 200
        assert reply.headers["x-oss-next-append-position"] == str(len(whole))
        assert reply.headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, whole))
    head = client.head("log").headers
    assert head["x-oss-object-type"] == "Appendable"
    assert head["x-oss-next-append-position"] == head["Content-Length"] == str(len(whole))
    assert head["Content-MD5"] is None
    assert client.get("log").body == whole
    assert client.get("log", range="bytes=1000-1004").body == whole[1000:1005]


def test_many_small_appends_share_one_file(emulator, client):
    for number in range(50):
        assert client.append("log", number * 3, b"abc").status == 200
    assert len(list(emulator.cloud.store.blobs.names())) == 1
    assert client.get("log").body == b"abc" * 50


def test_the_etag_changes_with_every_append(client):
    first = client.append("log", 0, b"abc").headers["ETag"]
    second = client.append("log", 3, b"def").headers["ETag"]
    assert first != second
    assert client.get("log", if_match=first).status == 412


@pytest.mark.parametrize("position", [0, 2, 4, 10**12])
def test_a_wrong_position_is_409_and_tells_the_right_one(client, position):
    client.append("log", 0, b"abc")
    reply = client.append("log", position, b"def")
    assert (reply.status, reply.code) == (409, "PositionNotEqualToLength")
    assert reply.headers["x-oss-next-append-position"] == "3"
    assert client.get("log").body == b"abc"


def test_a_first_append_must_be_at_zero(client):
    reply = client.append("log", 5, b"abc")
    assert reply.code == "PositionNotEqualToLength"
    assert reply.headers["x-oss-next-append-position"] == "0"
    assert client.head("log").status == 404


def test_position_zero_fits_an_empty_appendable_object(client):
    assert client.append("log", 0, b"").status == 200
    reply = client.append("log", 0, b"")
    assert reply.headers["x-oss-next-append-position"] == "0"
    assert reply.headers["x-oss-hash-crc64ecma"] == "0"
    assert client.append("log", 0, b"abc").status == 200


def test_other_objects_are_not_appendable(client):
    client.put("plain", b"abc")
    client.send("PUT", "link", {"symlink": None}, {"x-oss-symlink-target": "plain"})
    for key, position in (("plain", 3), ("plain", 0), ("link", 0)):
        reply = client.append(key, position, b"x")
        assert (reply.status, reply.code) == (409, "ObjectNotAppendable")


def test_put_over_an_appendable_object_makes_it_normal(emulator, client):
    client.append("log", 0, b"abc")
    client.put("log", b"new")
    assert client.head("log").headers["x-oss-object-type"] == "Normal"
    assert client.append("log", 3, b"x").code == "ObjectNotAppendable"
    assert len(list(emulator.cloud.store.blobs.names())) == 1


@pytest.mark.parametrize("text", ["-1", "1.0", "x", "", " 1", "٣"])
def test_positions_that_are_no_numbers(client, text):
    reply = client.send("POST", "log", {"append": None, "position": text}, body=b"x")
    assert (reply.status, reply.code) == (400, "InvalidArgument")


def test_a_missing_position(client):
    reply = client.send("POST", "log", {"append": None}, body=b"x")
    assert (reply.status, reply.code) == (400, "MissingArgument")


def test_metadata_counts_only_when_the_object_is_made(client):
    client.append("log", 0, b"abc", **{"content-type": "video/mp2t", "x-oss-meta-cam": "1"})
    client.append("log", 3, b"def", **{"content-type": "text/plain", "x-oss-meta-cam": "2"})
    headers = client.head("log").headers
    assert headers["Content-Type"] == "video/mp2t"
    assert headers["x-oss-meta-cam"] == "1"


def test_content_md5_covers_the_piece(client):
    client.append("log", 0, b"abc")
    wrong = base64.b64encode(hashlib.md5(b"abcdef").digest()).decode()
    assert client.append("log", 3, b"def", content_md5=wrong).code == "InvalidDigest"
    right = base64.b64encode(hashlib.md5(b"def").digest()).decode()
    assert client.append("log", 3, b"def", content_md5=right).status == 200


def test_an_appended_object_does_not_grow_beyond_the_limit(emulator, client):
    emulator.set_limits(max_append_size=1000)
    assert client.append("log", 0, b"x" * 600).status == 200
    reply = client.append("log", 600, b"x" * 401)
    assert (reply.status, reply.code) == (400, "InvalidArgument")
    assert client.head("log").headers["x-oss-next-append-position"] == "600"
    assert client.append("log", 600, b"x" * 400).status == 200
    assert client.append("log", 1000, b"").status == 200
    assert client.append("log", 1000, b"x").code == "InvalidArgument"


def test_of_concurrent_appends_to_one_position_exactly_one_wins(emulator, client, client_of):
    rounds, writers = 12, 4
    won: list[list[int]] = [[] for _ in range(rounds)]
    barrier = threading.Barrier(writers)

    def write(number: int) -> None:
        own = client_of(emulator)
        for turn in range(rounds):
            barrier.wait()
            reply = own.append("race", turn * 100, bytes([number]) * 100)
            if reply.status == 200:
                won[turn].append(number)
            else:
                assert reply.code == "PositionNotEqualToLength"
        own.connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(winners) for winners in won] == [1] * rounds
    expected = b"".join(bytes([winners[0]]) * 100 for winners in won)
    assert client.get("race").body == expected
    assert client.head("race").headers["x-oss-hash-crc64ecma"] == str(crc64.update(0, expected))


def test_two_bodies_on_the_way_to_one_position(client):
    """Both pass the first check; the one whose body ends first wins, the other gets 409."""
    client.append("log", 0, b"abc")
    query = "append&position=3"
    with (
        client.raw("POST", f"log?{query}", 4, b"12", key="log", query=query) as slow,
        client.raw("POST", f"log?{query}", 4, b"WXYZ", key="log", query=query) as quick,
    ):
        assert quick.recv(4096).startswith(b"HTTP/1.1 200 ")
        slow.sendall(b"34")
        answer = slow.recv(4096)
    assert answer.startswith(b"HTTP/1.1 409 ")
    assert b"x-oss-next-append-position: 7" in answer
    assert client.get("log").body == b"abcWXYZ"


def test_a_wrong_position_is_answered_before_a_long_body_is_read(client):
    client.append("log", 0, b"abc")
    query = "append&position=9"
    with client.raw("POST", f"log?{query}", 50_000_000, b"12", key="log", query=query) as early:
        answer = b"".join(iter(lambda: early.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 409 ")
    assert b"connection: close" in answer
    assert b"x-oss-next-append-position: 3" in answer


def test_a_sealed_object_takes_no_more(client):
    client.append("log", 0, b"abc")
    assert client.send("POST", "log", {"seal": None, "position": "1"}).status == 409
    sealed = client.send("POST", "log", {"seal": None, "position": "3"})
    assert sealed.status == 200
    assert sealed.headers["x-oss-sealed-time"]
    assert client.append("log", 3, b"x").code == "ObjectNotAppendable"
    assert client.get("log").body == b"abc"


def test_forbid_overwrite_makes_a_second_append_fail(client):
    assert client.append("log", 0, b"abc", x_oss_forbid_overwrite="true").status == 200
    assert client.append("log", 3, b"x", x_oss_forbid_overwrite="true").code == "FileAlreadyExists"
