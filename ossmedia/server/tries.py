"""How often somebody may try to sign in: bounded for each name, for each address, and for a name
from an address.

In flow names and addresses, out flows whether a try may be made, or how long to stay away. Counts
are kept in the database, so that all processes count together; they hold hashes, never what was
typed. A try that may not be made costs a read and nothing else.
"""

from __future__ import annotations

import hashlib
import math
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ossmedia.clock import SYSTEM, Clock
from ossmedia.server.database import Database
from ossmedia.server.schema import sign_ins

__all__ = ["ADDRESS", "BOTH", "NAME", "WINDOW_S", "Tries", "network_of"]

WINDOW_S = 900
BOTH, NAME, ADDRESS = 10, 100, 60  # tries in that time: from a person's place, by all, by a place


def network_of(address: str) -> str:
    """What counts as one place: an IPv4 address, or the 64 bits that one customer's IPv6 addresses
    share."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, 64), strict=False))


def _limits(name: str, address: str) -> dict[str, int]:
    place = network_of(address)
    limits = {f"both {place} {name}": BOTH, f"name {name}": NAME, f"address {place}": ADDRESS}
    # In one order everywhere: two processes must not wait for each other.
    hashed = {_hash(who): most for who, most in limits.items()}
    return dict(sorted(hashed.items()))


def _hash(who: str) -> str:
    return hashlib.sha256(who.encode("utf-8", "surrogatepass")).hexdigest()


class Tries:
    """The counts of one database."""

    def __init__(self, database: Database, clock: Clock = SYSTEM) -> None:
        self._database = database
        self._clock = clock
        self._insert: Any = (postgresql if database.postgresql else sqlite).insert

    def take(self, name: str, address: str) -> int:
        """Counts one try.

        Returns:
            0 when it may be made; else the seconds to stay away, and nothing was counted.
        """
        now, limits = self._clock.now(), _limits(name, address)
        with self._database.reading() as connection:
            wait = self._wait(connection, limits, now)
        if wait:
            return wait
        new = self._insert(sign_ins).values(tries=1, expires_at=now + WINDOW_S)
        once_more = {"tries": sign_ins.c.tries + 1}
        with self._database.writing() as connection:
            # Asked again where nobody else can count meanwhile.
            wait = self._wait(connection, limits, now)
            if wait:
                return wait
            connection.execute(delete(sign_ins).where(sign_ins.c.expires_at <= now))
            for who in limits:
                row = new.values(who=who).on_conflict_do_update(
                    index_elements=["who"], set_=once_more
                )
                connection.execute(row)
        return 0

    @staticmethod
    def _wait(connection: Connection, limits: dict[str, int], now: float) -> int:
        query = select(sign_ins).where(sign_ins.c.who.in_(limits), sign_ins.c.expires_at > now)
        rows = connection.execute(query.order_by(sign_ins.c.who).with_for_update()).all()
        ends = [row.expires_at for row in rows if row.tries >= limits[row.who]]
        return math.ceil(max(ends) - now) if ends else 0

    def forget(self, name: str, address: str) -> None:
        """A try that held: what this person mistyped before counts no more."""
        both, *others = sorted(_limits(name, address).items(), key=lambda item: item[1])
        with self._database.writing() as connection:
            connection.execute(delete(sign_ins).where(sign_ins.c.who == both[0]))
            mine = sign_ins.c.who.in_([who for who, _ in others])
            less = update(sign_ins).where(mine, sign_ins.c.tries > 0)
            connection.execute(less.values(tries=sign_ins.c.tries - 1))
