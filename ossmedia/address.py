"""Where an object is: endpoint, region, bucket and key, checked before a byte is sent.

In flows what a caller wrote, out flow the values the core wants. It never touches the network and
never guesses a region.
"""

from __future__ import annotations

__all__ = ["CNAME", "HOST", "PATH", "Address", "check_bucket", "check_key", "parse_url"]

HOST, PATH, CNAME = 0, 1, 2  # the bucket stands in the host name, in the path, or nowhere

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_HOST = _LOWER | frozenset("-_")
_REGION = _LOWER | frozenset("-")
_HEX = frozenset("0123456789abcdef:.")
_SUFFIX = ".aliyuncs.com"


class Address:
    """One bucket's address, from the words a caller uses.

    Args:
        bucket: 3-63 of a-z, 0-9 and "-".
        endpoint: "oss-cn-hangzhou.aliyuncs.com", with "http://" or "https://" (the default) and a
            port if needed; an IPv6 address in brackets. "" with a region: that region's public
            endpoint.
        region: "cn-hangzhou"; "" if the endpoint tells it.
        path_style: the bucket stands in the path; so it is for IP addresses and localhost anyway.
        cname: the endpoint is the customer's own domain, bound to the bucket.
        internal, accelerate: the inner or the accelerated endpoint of OSS instead of the public
            one.
        region_needed: signature V4 signs it.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """

    __slots__ = ("bucket", "endpoint", "region", "style")

    def __init__(
        self,
        bucket: str,
        endpoint: str = "",
        region: str = "",
        *,
        path_style: bool = False,
        cname: bool = False,
        internal: bool = False,
        accelerate: bool = False,
        region_needed: bool = True,
    ) -> None:
        self.bucket = check_bucket(bucket)
        for name, one, other, both in (
            ("internal and accelerate", internal, accelerate, True),
            ("cname and path_style", cname, path_style, True),
            ("cname and internal or accelerate", cname, internal or accelerate, True),
        ):
            if one and other and both:
                raise ValueError(f"{name}: only one of them")
        if region:
            _check_region(region)
        scheme, host, port = _split(endpoint) if endpoint else ("https", _public(region), "")
        told = _region_of(host)
        if region and told and told != region:
            raise ValueError(f"region: {region!r} contradicts the endpoint {host!r}")
        self.region = region or told
        if region_needed and not self.region:
            raise ValueError(f"region: needed, the endpoint {host!r} does not tell it")
        if host.startswith(f"{bucket}.oss-") and host.endswith(_SUFFIX):
            raise ValueError(f"endpoint: without the bucket: {host[len(bucket) + 1 :]!r}")
        if internal or accelerate:
            host = _variant(host, told, internal)
        self.endpoint = f"{scheme}://{host}{port}"
        self.style = CNAME if cname else PATH if path_style or _bare(host) else HOST


def _public(region: str) -> str:
    if not region:
        raise ValueError("endpoint: needed, or a region")
    return f"oss-{region}{_SUFFIX}"


def _variant(host: str, region: str, internal: bool) -> str:
    """The inner or accelerated endpoint that belongs to a public one."""
    word = "internal" if internal else "accelerate"
    if host.startswith("oss-accelerate") and not internal:
        return host
    if not region or host not in (f"oss-{region}{_SUFFIX}", f"oss-{region}-internal{_SUFFIX}"):
        raise ValueError(f"{word}: only for endpoints oss-<region>{_SUFFIX}, not {host!r}")
    return f"oss-{region}-internal{_SUFFIX}" if internal else f"oss-accelerate{_SUFFIX}"


def _region_of(host: str) -> str:
    """The region that OSS's own endpoint names tell; "" for any other host."""
    if not host.endswith(_SUFFIX):
        return ""
    name = host[: -len(_SUFFIX)]
    if name.endswith(".oss"):
        told = name[:-4]
    elif name.startswith("oss-") and not name.startswith("oss-accelerate"):
        told = name[4:].removesuffix("-internal")
    else:
        return ""
    return told if _is_region(told) else ""


def _bare(host: str) -> bool:
    """Whether no bucket can stand before this host: an IP address, or localhost."""
    return host == "localhost" or host.startswith("[") or _is_ipv4(host)


def _is_ipv4(host: str) -> bool:
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _split(endpoint: str) -> tuple[str, str, str]:
    """Scheme, host in lower case (an IPv6 address keeps its brackets), and ":port" or ""."""
    if not isinstance(endpoint, str):
        raise TypeError(f"endpoint: must be str, not {type(endpoint).__name__}")
    scheme, separator, rest = endpoint.partition("://")
    scheme, rest = (scheme.lower(), rest) if separator else ("https", endpoint)
    if scheme not in ("http", "https"):
        raise ValueError("endpoint: must begin with http:// or https://")
    rest = rest.removesuffix("/").lower()
    if "@" in rest:
        raise ValueError("endpoint: must not hold a user or password")
    if any(mark in rest for mark in "/?#\\"):
        raise ValueError("endpoint: only a host and a port, no path or query")
    if rest.startswith("["):
        host, bracket, port = rest.partition("]")
        host += bracket
        if not bracket or host.count(":") < 2 or not _HEX.issuperset(host[1:-1]):
            raise ValueError(f"endpoint: {host[:60]!r} is no IPv6 address")
    else:
        host, colon, port = rest.partition(":")
        port = colon + port
        if ":" in port[1:]:
            raise ValueError("endpoint: an IPv6 address stands in brackets")
        _check_host(host)
    return scheme, host, _port(port)


def _check_host(host: str) -> None:
    labels = host.split(".")
    if not 1 <= len(host) <= 253 or not all(
        1 <= len(label) <= 63 and _HOST.issuperset(label) and label[0] != "-" for label in labels
    ):
        raise ValueError(f"endpoint: {host[:60]!r} is no host name")
    if labels[-1].isdigit() and not _is_ipv4(host):
        raise ValueError(f"endpoint: {host[:60]!r} is no IPv4 address")


def _port(text: str) -> str:
    if not text:
        return ""
    digits = text[1:]
    if (
        text[0] != ":"
        or not digits.isascii()
        or not digits.isdigit()
        or not 1 <= int(digits) <= 65535
    ):
        raise ValueError(f"endpoint: the port must be 1-65535, not {digits[:20]!r}")
    return f":{int(digits)}"


def _is_region(text: str) -> bool:
    plain = 1 <= len(text) <= 64 and _REGION.issuperset(text)
    return plain and not text.startswith(("-", "oss-"))


def _check_region(region: str) -> None:
    if not isinstance(region, str):
        raise TypeError(f"region: must be str, not {type(region).__name__}")
    if region.startswith("oss-"):
        raise ValueError(f"region: without 'oss-': {region[4:68]!r}")
    if not _is_region(region):
        raise ValueError(f"region: 1-64 of a-z, 0-9 and '-', not {region[:70]!r}")


def check_bucket(name: str) -> str:
    """The name, if OSS allows it.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """
    if not isinstance(name, str):
        raise TypeError(f"bucket: must be str, not {type(name).__name__}")
    if not 3 <= len(name) <= 63 or not _REGION.issuperset(name) or "-" in (name[0], name[-1]):
        raise ValueError(
            f"bucket: 3-63 of a-z, 0-9 and '-', with no '-' at the ends, not {name[:70]!r}"
        )
    return name


def check_key(key: str) -> str:
    """The key, if OSS allows it: 1-1023 bytes of UTF-8, no CR, LF or NUL, no "/" or "\\" at the
    start.

    Raises:
        TypeError, ValueError: naming the field and its limit.
    """
    plain = type(key) is str and key.isascii() and key.isprintable()
    if plain and 0 < len(key) <= 1023 and key[0] not in "/\\":
        return key  # most keys: no look at their bytes is needed
    if not isinstance(key, str):
        raise TypeError(f"key: must be str, not {type(key).__name__}")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise ValueError("key: must be valid Unicode (it holds a lone surrogate)") from None
    if not 1 <= size <= 1023:
        raise ValueError(f"key: must be 1-1023 bytes of UTF-8, not {size}")
    if "\r" in key or "\n" in key or "\0" in key:
        raise ValueError("key: must not hold CR, LF or NUL")
    if key[0] in "/\\":
        raise ValueError(f"key: must not begin with {key[0]!r}")
    return key


def parse_url(url: str) -> tuple[str, str]:
    """Bucket and key ("" if there is none) of "oss://bucket/key"; nothing in it is decoded.

    Raises:
        ValueError: another form, a wrong bucket name or key.
    """
    if not url.startswith("oss://"):
        raise ValueError(f"must be oss://bucket/key, not {url[:100]!r}")
    bucket, _, key = url[6:].partition("/")
    return check_bucket(bucket), check_key(key) if key else ""
