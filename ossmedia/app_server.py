"""A camera's side of the application server: a provider that fetches temporary credentials.

In flow the server's address, a device id and its key, its certificate or both, out flow
``Credentials``. Each call sends one signed request, or two when the camera's clock is wrong; the
answer's own signature is checked, so that credentials and the server's time come from who knows the
key. It never follows a redirect, uses no proxy, and speaks plain http only when told to. The key
reaches no message and no repr.
"""

from __future__ import annotations

import json
import os

from ossmedia.device_auth import DeviceKey
from ossmedia.device_link import DeviceLink, Server
from ossmedia.errors import ProtocolError
from ossmedia.model import Credentials
from ossmedia.policy import check_device_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["AppServerCredentials", "enrol"]

_HINTS = ("key_prefix", "bucket", "endpoint", "region", "modes", "callback")


class AppServerCredentials(DeviceLink):
    """A provider that asks an application server, to be given as ``credentials=`` of a ``Bucket``.

    Args:
        all: see ``DeviceLink``.

    Attributes:
        seconds_ahead: see ``DeviceLink``.
        place: key_prefix, bucket, endpoint, region, modes, as the server last told them; with
            callback, where the server wants them: the headers that an upload adds so that OSS tells
            the server of it.

    Raises:
        TypeError, ValueError: naming the argument and its limit, never the key.
    """

    __slots__ = ("_place",)

    @property
    def place(self) -> dict[str, Any]:
        """What the last answer said of where to write; empty before the first."""
        return getattr(self, "_place", {})

    def __call__(self) -> Credentials:
        """Credentials for what the device's record allows.

        Raises:
            OssMediaError, OSError, ValueError: see ``DeviceLink.ask``.
        """
        data = self.ask("/v1/credentials", {})
        try:
            credentials = Credentials.from_json(data)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"the application server's answer: {error}") from None
        self._place = {name: data[name] for name in _HINTS if name in data}
        return credentials


def enrol(
    url: str,
    device_id: str,
    code: str,
    key_file: str | os.PathLike[str],
    *,
    ca_file: str | os.PathLike[str] | None = None,
    timeout_s: float = 20.0,
    allow_insecure: bool = False,
) -> None:
    """Fetches a device's key with a code that the operator made, and writes it to a new file that
    only its owner can read. The code is good once, for 10 minutes.

    Args:
        url, ca_file, timeout_s, allow_insecure: see ``AppServerCredentials``.
        key_file: must not exist yet; checked before the code is used.

    Raises:
        FileExistsError: ``key_file`` exists.
        AccessDenied: the code is not good for this device.
        OssMediaError: as for ``AppServerCredentials``.
    """
    server = Server(url, ca_file, timeout_s, allow_insecure)
    body = json.dumps({"device": check_device_id(device_id), "code": code}).encode()
    descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        answer = server.post(server.target("/v1/enrolments"), body, {})
        if answer.status != 200:
            raise answer.error()
        try:
            key = DeviceKey.parse(answer.json().get("device_key", ""))
        except (TypeError, ValueError):
            raise ProtocolError("the application server's answer holds no key") from None
        os.write(descriptor, key.text().encode() + b"\n")
        os.fsync(descriptor)
    except BaseException:
        os.unlink(key_file)
        raise
    finally:
        os.close(descriptor)
