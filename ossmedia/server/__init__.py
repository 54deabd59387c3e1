"""The application server: who is this device, what may it do, and a token for exactly that.

``create_app(Settings.load("ossmedia.toml"))`` is an ASGI application to serve or to mount;
``ossmedia serve`` runs it. It needs the extra ``ossmedia[server]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ossmedia.server.settings import Settings

if TYPE_CHECKING:
    from ossmedia.server.app import AppServer

__all__ = ["AppServer", "Settings", "create_app"]


def create_app(settings: Settings) -> AppServer:
    """The ASGI application for these settings.

    Raises:
        ValueError: settings that do not fit the database or the key file.
        StoreUnavailable: the database does not answer.
    """
    from ossmedia.server.app import AppServer
    from ossmedia.server.parts import Parts

    return AppServer(Parts(settings))


def __getattr__(name: str) -> Any:
    """The rest loads on first use: an operator's command needs none of it."""
    if name != "AppServer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ossmedia.server.app import AppServer

    return AppServer
