"""Which bucket and key a request means.

What flows in: the Host header and the raw path. What flows out: bucket, raw key and addressing
style. It never decodes the key (the signature needs it raw) and never asks whether the bucket
exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .errors import OssError

_ALIYUN = re.compile(
    r"(?:([^.]+)\.)?"
    r"(?:oss-[a-z0-9-]+\.aliyuncs\.com|[a-z]+-[a-z0-9-]+\.oss(?:-internal)?\.aliyuncs\.com)"
)
_SLASH = re.compile("/|%2[Ff]")


class Address(NamedTuple):
    """Bucket (None for the service), raw key (None for bucket and service), and how it was said."""

    bucket: str | None
    raw_key: str | None
    path_style: bool


class Addressing:
    """Virtual host, path style and CNAME.

    Args:
        domains: host names whose sub-domains are buckets, besides ``localhost`` and the domains
            of the service (``cams.localhost``, ``cams.oss-cn-hangzhou.aliyuncs.com``).
        cnames: customer domain to bucket.
        forbid_second_level: refuse path style, as the public service does.
    """

    def __init__(
        self,
        domains: Iterable[str] = (),
        cnames: dict[str, str] | None = None,
        *,
        forbid_second_level: bool = False,
    ) -> None:
        self._domains = {"localhost", "127.0.0.1", *(domain.lower() for domain in domains)}
        self.cnames = {name.lower(): bucket for name, bucket in (cnames or {}).items()}
        self.forbid_second_level = forbid_second_level

    def resolve(self, host: str, raw_path: str) -> Address:
        """Split a request into bucket and raw key.

        Raises:
            OssError: 403 SecondLevelDomainForbidden for path style where that is switched off.
        """
        bucket = self._bucket_of_host(host_name(host))
        if bucket is not None:
            return Address(bucket, raw_path[1:] or None, False)
        rest = raw_path[1:]
        if not rest:
            return Address(None, None, True)
        slash = _SLASH.search(rest)
        address = (
            Address(rest, None, True)
            if slash is None
            else Address(rest[: slash.start()], rest[slash.end() :] or None, True)
        )
        if self.forbid_second_level:
            raise OssError(
                403,
                "SecondLevelDomainForbidden",
                "The bucket you are attempting to access must be addressed using OSS third level "
                "domain.",
            )
        return address

    def _bucket_of_host(self, name: str) -> str | None:
        if name in self.cnames:
            return self.cnames[name]
        if name in self._domains:
            return None
        first, _, rest = name.partition(".")
        if rest in self._domains:
            return first
        match = _ALIYUN.fullmatch(name)
        return match.group(1) if match is not None else None


def host_name(host: str) -> str:
    """A Host header without its port, in lower case; an IPv6 literal keeps its brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]
