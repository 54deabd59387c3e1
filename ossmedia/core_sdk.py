"""Calls of Alibaba Cloud's RPC services (STS, VOD) through its core SDK.

In flow an operation's fields and the application server's key, out flows what a reader makes of the
answer. The keys, the signed request and the answer never reach a log or an exception: the SDK's log
is silent during the calls made here, because it writes signed URLs and whole answers; no
environment variable changes where a call goes or what is trusted.
"""

from __future__ import annotations

import logging
import threading

from ossmedia.address import Address
from ossmedia.clock import SYSTEM, chance
from ossmedia.errors import (
    AccessDenied,
    NetworkError,
    OssMediaError,
    ProtocolError,
    RequestTimeout,
    TlsError,
    service_error,
)
from ossmedia.model import Credentials
from ossmedia.retry import Retry, final

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from ossmedia.clock import Clock

    T = TypeVar("T")

__all__ = ["Service"]

_LOGGERS = (
    "aliyunsdkcore.client",
    "aliyunsdkcore.http.http_response",
    "aliyunsdkcore.vendored.requests.packages.urllib3.connectionpool",
)
_SIGNATURE = ("SignatureDoesNotMatch", "IncompleteSignature", "InvalidAccessKeySecret")


class _Quiet(logging.Filter):
    """Drops the records of the threads that are inside a call."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not getattr(self.inside, "call", False)


_quiet = _Quiet()


class Service:
    """One service at one ``endpoint``, called with one key.

    Args:
        name: "STS" or "VOD", for messages.
        package: what must be installed for it, for messages.
        ca_file: PEM file of the authorities to trust; "": the SDK's own.
        retry: for answers that ask for another try, with a new nonce each; None: three tries.

    Raises:
        TypeError, ValueError: naming the field. ImportError: the SDK is not installed.
    """

    def __init__(
        self,
        name: str,
        package: str,
        *,
        credentials: Credentials,
        endpoint: str,
        region: str,
        ca_file: str = "",
        connect_timeout_s: float = 5.0,
        io_timeout_s: float = 10.0,
        retry: Retry | None = None,
        clock: Clock = SYSTEM,
        random: Callable[[], float] = chance,
    ) -> None:
        if not isinstance(credentials, Credentials):
            raise TypeError(f"credentials: must be Credentials, not {type(credentials).__name__}")
        self._name = name
        self._package = package
        self._token = credentials.security_token
        self.endpoint = Address(name.lower(), endpoint, region).endpoint
        self._retry = Retry(attempts=3) if retry is None else retry
        self._clock = clock
        self._random = random
        self._client = self._new_client(
            credentials, region, ca_file, connect_timeout_s, io_timeout_s
        )
        for logger in map(logging.getLogger, _LOGGERS):
            if _quiet not in logger.filters:
                logger.addFilter(_quiet)

    def _new_client(
        self,
        credentials: Credentials,
        region: str,
        ca_file: str,
        connect_timeout_s: float,
        io_timeout_s: float,
    ) -> Any:
        try:
            from aliyunsdkcore.client import AcsClient
        except ImportError as error:
            raise _missing(self._name, self._package) from error
        client = AcsClient(
            credentials.access_key_id,
            credentials.access_key_secret,
            region,
            auto_retry=False,
            connect_timeout=connect_timeout_s,
            timeout=io_timeout_s,
            verify=ca_file or True,  # stated, or the SDK lets an environment variable turn it off
            proxy={"http": None, "https": None},  # stated, or the SDK takes the environment's
        )
        client.session.trust_env = False
        return client

    def call(
        self,
        new_request: Callable[[], Any],
        fields: Mapping[str, str],
        read: Callable[[bytes], T],
        *,
        settle: Callable[[OssMediaError], T | None] | None = None,
    ) -> T:
        """One operation, repeated as ``retry`` says.

        Args:
            new_request: makes the SDK's empty request.
            read: takes the answer's body; what it raises for a wrong one becomes ProtocolError.
            settle: asked when no answer came, so that nobody knows whether the operation took
                effect: its outcome, if that can be found out; None: it did not happen. Without it
                the operation is one that may simply be repeated.

        Raises:
            OssMediaError: the last failure.
        """
        attempt = 0
        while True:
            outcome = self._once(new_request, fields, read)
            if not isinstance(outcome, OssMediaError):
                return outcome
            attempt += 1
            if settle is not None and _in_doubt(outcome):
                settled = settle(outcome)
                if settled is not None:
                    return settled
            if attempt >= self._retry.attempts or final(outcome, attempt):
                raise outcome
            self._clock.sleep(self._retry.delay(attempt, outcome, self._random))

    def close(self) -> None:
        """Gives the connections back; another call would open new ones."""
        self._client.session.close()

    def _request(self, new_request: Callable[[], Any], fields: Mapping[str, str]) -> Any:
        from aliyunsdkcore.http import protocol_type

        scheme, _, host = self.endpoint.partition("://")
        try:
            request = new_request()
        except ImportError as error:
            raise _missing(self._name, self._package) from error
        request.set_protocol_type(protocol_type.HTTPS if scheme == "https" else protocol_type.HTTP)
        request.set_endpoint(host)
        for name, value in fields.items():
            request.add_query_param(name, value)
        if self._token:
            request.add_query_param("SecurityToken", self._token)
        return request

    def _once(
        self,
        new_request: Callable[[], Any],
        fields: Mapping[str, str],
        read: Callable[[bytes], T],
    ) -> T | OssMediaError:
        """Errors are returned, not raised, so that the SDK's exception, whose text may hold the
        signed request, does not travel along as context."""
        from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException

        _quiet.inside.call = True
        try:
            return read(self._client.do_action_with_exception(self._request(new_request, fields)))
        except ServerException as error:
            return self._refused(error)
        except ClientException as error:
            return self._no_answer(str(error.message))
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            return ProtocolError(f"{self._name}'s answer cannot be read ({type(error).__name__})")
        finally:
            _quiet.inside.call = False

    def _refused(self, error: Any) -> OssMediaError:
        code, message = str(error.error_code), str(error.message)
        status = int(error.http_status or 0)
        if code.startswith(_SIGNATURE):
            message = "the access key secret is not the one of this access key id"
        elif code == "SDK.UnknownServerError":
            code, message = "BadErrorResponse", f"{self._name}'s error cannot be read"
        failure = service_error(
            status,
            code,
            message[:300],
            request_id=str(error.request_id or "")[:64],
            temporary=False,
        )
        if code == "SignatureNonceUsed":  # a lost answer; the next try has a new nonce
            failure.retryable = True
        if isinstance(failure, AccessDenied) and failure.retryable:
            failure.retryable = False  # nobody here renews the server's own key
        return failure

    def _no_answer(self, message: str) -> OssMediaError:
        lower = message.lower()
        if "certificate" in lower or "sslerror" in lower:
            return TlsError(f"{self.endpoint}: the certificate of {self._name} was refused")
        if "timed out" in lower or "timeout" in lower:
            return RequestTimeout(f"{self.endpoint}: {self._name} gave no answer in time")
        return NetworkError(f"{self.endpoint}: {self._name} gave no answer")


def _in_doubt(failure: OssMediaError) -> bool:
    """Whether the operation may have taken effect although no good answer came."""
    unclear = isinstance(failure, NetworkError | ProtocolError)
    return unclear and not isinstance(failure, TlsError)


def _missing(name: str, package: str) -> ImportError:
    return ImportError(f"{name} needs {package}: pip install 'ossmedia[server]'")
