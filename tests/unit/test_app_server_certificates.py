"""AppServerCredentials with a client certificate: which arguments fit together, and what a file
that is no certificate is called. That nginx takes it is tests/routes/test_client_certificates.py's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ossmedia import AppServerCredentials
from ossmedia.device_auth import DeviceKey
from tests.routes.certificates import Authority

URL = "https://127.0.0.1:9"  # nothing listens there; no test gets that far


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return Authority(tmp_path_factory.mktemp("ca"), "devices-ca").sign("cam-1")


@pytest.mark.parametrize(
    ("url", "arguments", "text"),
    [
        (URL, {}, "device_key, cert_file: one of them"),
        (URL, {"cert_key_file": "k.pem", "device_key": DeviceKey.new().text()}, "needs cert_file"),
        ("http://a", {"cert_file": "c.pem", "allow_insecure": True}, "needs a url with https"),
    ],
)
def test_what_does_not_fit_together(url: str, arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        AppServerCredentials(url, "cam-1", **arguments)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    provider = AppServerCredentials(URL, "cam-1", cert_file=tmp_path / "none.pem")
    with pytest.raises(ValueError, match=r"cert_file, cert_key_file: No such file"):
        provider()


def test_files_that_do_not_fit_together(files: tuple[Path, Path], tmp_path: Path) -> None:
    other = Authority(tmp_path, "devices-ca").sign("cam-1")
    for certificate, key in ((files[0], other[1]), (files[1], files[0]), (files[0], None)):
        provider = AppServerCredentials(URL, "cam-1", cert_file=certificate, cert_key_file=key)
        with pytest.raises(ValueError, match="cert_file, cert_key_file"):
            provider()


def test_an_encrypted_key_asks_nobody(files: tuple[Path, Path], tmp_path: Path) -> None:
    """OpenSSL would ask on the terminal; a camera has nobody to answer."""
    key = load_pem_private_key(files[1].read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    locked = BestAvailableEncryption(b"canary")
    path = tmp_path / "locked.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    provider = AppServerCredentials(URL, "cam-1", cert_file=files[0], cert_key_file=path)
    with pytest.raises(ValueError, match="cert_file, cert_key_file"):
        provider()
