"""hls_keys.py: AES-128 as players undo it."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ossmedia import SegmentKey
from ossmedia.errors import MediaError
from ossmedia.hls_keys import SegmentCipher

KEY = SegmentKey("day-1", bytes(range(16)), "https://keys.example/1")


def decrypted(data: bytes, key: bytes, iv: str) -> bytes:
    decryptor = Cipher(algorithms.AES128(key), modes.CBC(bytes.fromhex(iv))).decryptor()
    unpad = padding.PKCS7(128).unpadder()
    plain = unpad.update(decryptor.update(data) + decryptor.finalize())
    return plain + unpad.finalize()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 188, 65_535, 65_536, 65_552, 1_000_003])
def test_what_is_encrypted_can_be_read_again(size: int) -> None:
    plain = bytes(range(256)) * (size // 256 + 1)
    data = bytearray(plain[:size])
    tag, metadata = SegmentCipher(lambda *_: KEY).encrypt(data, 7, 1.5)
    assert len(data) == size // 16 * 16 + 16
    assert decrypted(bytes(data), KEY.key, metadata["ossmedia-iv"]) == plain[:size]
    assert tag == f'METHOD=AES-128,URI="{KEY.uri}",IV=0x{metadata["ossmedia-iv"]}'
    assert metadata["ossmedia-key-id"] == KEY.id
    assert metadata["ossmedia-key-uri"] == KEY.uri


def test_the_provider_is_asked_for_each_segment() -> None:
    asked = []

    def provider(sequence: int, start: float) -> SegmentKey:
        asked.append((sequence, start))
        return KEY

    cipher = SegmentCipher(provider)
    ivs = {cipher.encrypt(bytearray(16), n, n / 2)[1]["ossmedia-iv"] for n in range(3)}
    assert asked == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert len(ivs) == 3


def test_a_provider_that_fails_is_an_error_of_the_recording() -> None:
    def provider(sequence: int, start: float) -> SegmentKey:
        raise OSError("the key server does not answer")

    data = bytearray(b"as it was")
    with pytest.raises(MediaError, match=r"^key_provider: raised OSError") as caught:
        SegmentCipher(provider).encrypt(data, 0, 0.0)
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(MediaError, match=r"^key_provider: must return SegmentKey, not bytes"):
        SegmentCipher(lambda *_: bytes(16)).encrypt(data, 0, 0.0)  # type: ignore[arg-type,return-value]
    assert data == b"as it was"


@pytest.mark.parametrize(
    ("fields", "error", "name"),
    [
        (("a", bytes(15), "u"), ValueError, "key"),
        (("a", "k" * 16, "u"), TypeError, "key"),
        (("", bytes(16), "u"), ValueError, "id"),
        ((5, bytes(16), "u"), TypeError, "id"),
        (("a", bytes(16), ""), ValueError, "uri"),
        (("a", bytes(16), 'u"'), ValueError, "uri"),
        (("a", bytes(16), "u\n#EXT"), ValueError, "uri"),
        (("a", bytes(16), "ü"), ValueError, "uri"),
        (("a", bytes(16), " u"), ValueError, "uri"),
        (("a" * 2001, bytes(16), "u"), ValueError, "id"),
    ],
)
def test_bad_keys_are_named(fields: tuple, error: type, name: str) -> None:
    with pytest.raises(error, match=f"^{name}: "):
        SegmentKey(*fields)


def test_a_key_is_not_shown() -> None:
    assert KEY.key.hex() not in repr(KEY)
    assert repr(KEY.key) not in repr(KEY)
    assert KEY.uri in repr(KEY)


def test_a_segment_is_encrypted_in_its_own_memory() -> None:
    cipher = SegmentCipher(lambda *_: KEY)
    cipher.encrypt(bytearray(1), 0, 0.0)
    tracemalloc.start()
    try:
        data = bytearray(8 << 20)
        cipher.encrypt(data, 0, 0.0)
        most = tracemalloc.get_traced_memory()[1] - len(data)
    finally:
        tracemalloc.stop()
    assert most < 2 << 20  # the padding makes it grow by an eighth


def test_without_the_package_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "cryptography.py").write_text("raise ImportError('not here')")
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from ossmedia.hls_keys import SegmentCipher
try:
    SegmentCipher(print)
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == (
        "key_provider: AES-128 needs the package cryptography: pip install cryptography"
    )
