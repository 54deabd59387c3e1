"""The application server: who is this device, what may it do, and a token for exactly that.

``create_app(Settings.load("ossmedia.toml"))`` is an ASGI application to serve or to mount;
``ossmedia serve`` runs it. It needs the extra ``ossmedia[server]``.
"""

from __future__ import annotations

from ossmedia.server.app import AppServer
from ossmedia.server.parts import Parts
from ossmedia.server.settings import Settings

__all__ = ["AppServer", "Settings", "create_app"]


def create_app(settings: Settings) -> AppServer:
    """The ASGI application for these settings.

    Raises:
        ValueError: settings that do not fit the database or the key file.
        StoreUnavailable: the database does not answer.
    """
    return AppServer(Parts(settings))
