"""The receipt of one PutObject reads its answer's headers only when somebody asks, and nobody can
tell; the checks of a body's size."""

import copy
import pickle
import sys

import pytest

from ossmedia import put
from ossmedia.model import Generation, Receipt, stored

HEAD = b'etag: "E"\nx-oss-request-id: R\ndate: Thu, 01 Jan 2026 00:00:00 GMT\n'
EAGER = Receipt("k", 5, 9, "E", "R", 2, (Generation("k", 0, 5),))


def late():
    size, crc64 = (number.to_bytes(8, sys.byteorder) for number in (5, 9))
    return stored("k", 2, size + crc64 + HEAD)


def test_it_is_a_receipt_like_any_other():
    assert type(late()) is Receipt
    assert late() == EAGER
    assert hash(late()) == hash(EAGER)
    assert repr(late()) == repr(EAGER)
    assert late().to_json() == EAGER.to_json()


@pytest.mark.parametrize(
    "name", ["key", "size", "crc64", "requests", "etag", "request_id", "generations"]
)
def test_each_late_field_can_be_the_first(name):
    assert getattr(late(), name) == getattr(EAGER, name)


def test_it_travels_and_is_set_once():
    assert pickle.loads(pickle.dumps(late())) == EAGER
    assert copy.deepcopy(late()) == EAGER
    with pytest.raises(AttributeError, match="immutable"):
        late().key = "other"
    with pytest.raises(AttributeError, match="immutable"):
        del late().key
    with pytest.raises(AttributeError, match="has no 'colour'"):
        late().colour  # noqa: B018


def test_an_answer_without_the_headers_leaves_them_empty():
    bare = stored("k", 1, bytes(16))
    assert (bare.etag, bare.request_id) == ("", "")
    assert bare.generations == (Generation("k", 0, 0),)


def test_an_eager_receipt_has_no_late_field():
    with pytest.raises(AttributeError, match="has no '_late'"):
        EAGER._late  # noqa: B018


@pytest.mark.parametrize("data", [b"x" * 11, bytearray(11), memoryview(bytes(11))])
def test_a_body_above_the_limit_is_refused_by_name(monkeypatch, data):
    monkeypatch.setattr(put, "LARGEST", 10)
    with pytest.raises(ValueError, match=r"^data: at most 10 bytes in one PutObject, not 11"):
        put.body_of(data)
    assert put.body_of(bytes(10)) == bytes(10)
