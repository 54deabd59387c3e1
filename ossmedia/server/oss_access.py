"""The server's own access to the bucket: look at objects, list, sign, delete, set rules.

In flow keys, out flow facts and URLs. It goes to the endpoint of the settings and nowhere else:
no redirect is followed, no proxy or netrc of the environment is used. The key it signs with comes
from the environment at each call, and reaches no message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import oss2
import requests
from oss2 import exceptions, models
from oss2.credentials import Credentials as OssCredentials
from oss2.credentials import CredentialsProvider
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ossmedia.address import CNAME, PATH, Address
from ossmedia.clock import SYSTEM, Clock, from_http_date
from ossmedia.credentials import EnvironmentCredentials
from ossmedia.errors import CredentialsError
from ossmedia.model import Credentials
from ossmedia.server.recording_facts import ObjectFacts
from ossmedia.server.settings import OssSettings

__all__ = ["OssAccess", "OssUnavailable"]

TIMEOUT_S = 10
PAGE = 1000
_POOL = 8
# A kept connection may have ended meanwhile; reading again is harmless.
_ONCE_MORE = Retry(1, redirect=0, status=0, other=0, allowed_methods=("GET", "HEAD"))
_OWN = "OSSMEDIA_OSS_ACCESS_KEY_ID", "OSSMEDIA_OSS_ACCESS_KEY_SECRET", "OSSMEDIA_OSS_SESSION_TOKEN"
_USUAL = "OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"


class OssUnavailable(Exception):
    """OSS did not answer, or refused; the same call may succeed later."""


class _Provider(CredentialsProvider):  # type: ignore[misc]
    """oss2's view of a provider of ours."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def get_credentials(self) -> OssCredentials:
        given: Credentials = self._provider()
        return OssCredentials(
            given.access_key_id, given.access_key_secret, given.security_token or None
        )


class _Environment:
    """The manager's key of its own if there is one, else the one that asks STS, too."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self._environ = os.environ if environ is None else environ
        self._usual = EnvironmentCredentials(environ)

    def __call__(self) -> Credentials:
        own = {usual: self._environ.get(own, "") for own, usual in zip(_OWN, _USUAL, strict=True)}
        if own[_USUAL[0]]:
            return EnvironmentCredentials(own)()
        return self._usual()


class OssAccess:
    """One bucket, as its manager sees it. May be used by several threads.

    Args:
        settings: bucket, endpoint, region; ``server_endpoint`` where the server reaches OSS by
            another name than browsers do.
        environ: where the key is read: OSSMEDIA_OSS_ACCESS_KEY_ID and ..._SECRET, else as for STS.

    Raises:
        ValueError: naming the field of the settings.
    """

    def __init__(
        self, settings: OssSettings, environ: Mapping[str, str] | None = None, clock: Clock = SYSTEM
    ) -> None:
        self.name = settings.bucket
        self._clock = clock
        self._session = oss2.Session(pool_size=_POOL)
        inner: requests.Session = self._session.session
        inner.trust_env = False
        inner.max_redirects = 0
        for scheme in ("https://", "http://"):
            inner.mount(scheme, HTTPAdapter(pool_maxsize=_POOL, max_retries=_ONCE_MORE))
        if settings.ca_file:
            inner.verify = settings.ca_file
        self._auth = oss2.ProviderAuthV4(_Provider(_Environment(environ)))
        self._public = self._bucket(settings, settings.endpoint)
        self._own = self._bucket(settings, settings.server_endpoint or settings.endpoint)

    def _bucket(self, settings: OssSettings, endpoint: str) -> oss2.Bucket:
        address = Address(settings.bucket, endpoint, settings.region)
        return oss2.Bucket(
            self._auth,
            address.endpoint,
            settings.bucket,
            is_cname=address.style == CNAME,
            is_path_style=address.style == PATH,
            region=address.region,
            session=self._session,
            connect_timeout=TIMEOUT_S,
            enable_crc=False,
        )

    def head(self, key: str) -> ObjectFacts | None:
        """What OSS says of one object; None: there is none.

        Raises:
            OssUnavailable: no answer, or a refusal.
            CredentialsError: the environment holds no key.
        """
        asked_at = self._clock.now()
        with _Told():
            try:
                answer = self._own.head_object(key)
            except exceptions.NotFound:
                return None
            _drop(answer)
            return _facts(key, answer.headers, asked_at)

    def pages(self, prefix: str, after: str = "") -> Iterator[list[ObjectFacts]]:
        """The objects below a prefix, by key, a page at a time; metadata and checksums are not in
        a listing.

        Args:
            after: only keys behind this one.

        Raises:
            OssUnavailable, CredentialsError: as for ``head``.
        """
        token, start = "", after
        while True:
            asked_at = self._clock.now()
            with _Told():
                page = self._own.list_objects_v2(
                    prefix, continuation_token=token, start_after=start, max_keys=PAGE
                )
                found = [_listed(item, asked_at) for item in page.object_list]
            yield found
            if not page.is_truncated:
                return
            if page.next_continuation_token == token:
                raise OssUnavailable("OSS: a listing that does not go on")
            token, start = page.next_continuation_token, ""

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects; that one is not there is no error.

        Raises:
            OssUnavailable, CredentialsError: as for ``head``.
        """
        # A control character cannot stand in the XML that names many keys.
        plain = [key for key in keys if key.isprintable()]
        with _Told():
            for start in range(0, len(plain), PAGE):
                _drop(self._own.batch_delete_objects(plain[start : start + PAGE]))
            for key in keys:
                if not key.isprintable():
                    _drop(self._own.delete_object(key))

    def sign(self, key: str, life_s: int, *, content_type: str = "", disposition: str = "") -> str:
        """A URL that reads one object for so many seconds.

        Args:
            content_type, disposition: what the answer's headers say, whatever the object was
                stored with.

        Raises:
            CredentialsError: the environment holds no key.
        """
        params = {"response-cache-control": "private, no-store"}
        if content_type:
            params["response-content-type"] = content_type
        if disposition:
            params["response-content-disposition"] = disposition
        with _Told():
            return str(self._public.sign_url("GET", key, life_s, params=params, slash_safe=True))

    def tag(self, key: str, tags: Mapping[str, str]) -> None:
        """Sets the tags of an object, instead of those it has; that it is not there is no error.

        Raises:
            OssUnavailable, CredentialsError: as for ``head``.
        """
        rule = models.TaggingRule()
        for name, value in tags.items():
            rule.add(name, value)
        with _Told(), suppress(exceptions.NoSuchKey):
            if tags:
                _drop(self._own.put_object_tagging(key, models.Tagging(rule)))
            else:
                _drop(self._own.delete_object_tagging(key))

    def lifecycle(self) -> list[models.LifecycleRule]:
        """The bucket's lifecycle rules.

        Raises:
            OssUnavailable, CredentialsError: as for ``head``.
        """
        with _Told():
            try:
                return list(self._own.get_bucket_lifecycle().rules)
            except exceptions.NoSuchLifecycle:
                return []

    def set_lifecycle(self, rules: Sequence[models.LifecycleRule]) -> None:
        """Replaces the bucket's lifecycle rules.

        Raises:
            OssUnavailable, CredentialsError: as for ``head``.
        """
        with _Told():
            _drop(self._own.put_bucket_lifecycle(models.BucketLifecycle(list(rules))))

    def cross_origin(self) -> list[models.CorsRule]:
        """The bucket's rules for pages of other origins.

        Raises:
            OssUnavailable, CredentialsError: as for ``head``.
        """
        with _Told():
            try:
                return list(self._own.get_bucket_cors().rules)
            except exceptions.NoSuchCors:
                return []

    def set_cross_origin(self, rules: Sequence[models.CorsRule]) -> None:
        """Replaces the bucket's rules for pages of other origins.

        Raises:
            OssUnavailable, CredentialsError: as for ``head``.
        """
        with _Told():
            _drop(self._own.put_bucket_cors(models.BucketCors(list(rules))))

    def close(self) -> None:
        """Closes the connections."""
        self._session.session.close()


def _drop(answer: Any) -> None:
    """Gives the connection back to the pool: oss2 leaves answers without a body unread."""
    answer.resp.read()


def _facts(key: str, headers: Mapping[str, str], asked_at: float) -> ObjectFacts:
    lower = {name.lower(): value for name, value in headers.items()}
    position = lower.get("x-oss-next-append-position", "")
    head = "x-oss-meta-"
    return ObjectFacts(
        key=key,
        size=int(lower.get("content-length", "0")),
        etag=lower.get("etag", "").strip('"'),
        type=lower.get("x-oss-object-type", ""),
        modified_at=from_http_date(lower.get("last-modified", "")),
        asked_at=asked_at,
        crc64=lower.get("x-oss-hash-crc64ecma", ""),
        position=int(position) if position.isdecimal() else None,
        content_type=lower.get("content-type", ""),
        metadata={
            name.removeprefix(head): value for name, value in lower.items() if name.startswith(head)
        },
    )


def _listed(item: Any, asked_at: float) -> ObjectFacts:
    return ObjectFacts(
        key=item.key,
        size=int(item.size),
        etag=item.etag.strip('"'),
        type=item.type,
        modified_at=float(item.last_modified),
        asked_at=asked_at,
        position=int(item.size) if item.type == "Appendable" else None,
    )


class _Told:
    """Turns what oss2 and requests raise into ``OssUnavailable``, without URLs or headers."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or isinstance(error, OssUnavailable | CredentialsError):
            return
        if isinstance(error, exceptions.ServerError):
            code = "".join(mark for mark in str(error.code)[:60] if mark.isalnum() or mark == ".")
            raise OssUnavailable(f"OSS refused: {error.status} {code}") from None
        known = exceptions.OssError | requests.RequestException | ValueError | AttributeError
        if isinstance(error, known):
            raise OssUnavailable(
                f"OSS did not answer as it should: {type(error).__name__}"
            ) from None
