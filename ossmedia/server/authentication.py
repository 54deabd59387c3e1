"""Who sent a request, proven.

In flow requests as they stood on the wire, out flow verdicts: a device, or the code of a refusal.
Order: form, certificate and signature as the settings ask, state, time or challenge, number, nonce;
nothing is told or stored for a sender whose signature does not hold, and an unknown device costs
the same work and gets the same answer as a wrong signature. Many requests are judged together, in
one thread, with one question to the database and one transaction.
"""

from __future__ import annotations

import base64
import hmac
import logging
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ossmedia.clock import SYSTEM, Clock
from ossmedia.device_auth import CHALLENGE_S, SECRET_SIZE, WINDOW_S, Claim, verify_request
from ossmedia.server.database import Database
from ossmedia.server.devices import ACTIVE, Device, key_place
from ossmedia.server.nonces import Nonce, NonceStore
from ossmedia.server.schema import device_keys, devices
from ossmedia.server.sealing import Vault

_log = logging.getLogger("ossmedia.server")

__all__ = ["Attempt", "Authenticator", "Challenger", "Verdict"]

_NOBODY = "-"  # no device id: it begins with neither letter nor digit
_NO_KEY = "00000000"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request to be judged; ``target`` and ``host`` as they stood on the wire; ``certificate``:
    the device id of the client certificate that a trusted proxy has verified, "" for none. A claim
    without a key has no signature and stands on the certificate alone."""

    claim: Claim
    method: str
    target: str
    host: str
    body: bytes
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``code`` is "" for an accepted request, else that of a problem; ``device`` is set and
    ``secret`` signs the answer wherever the signature held; it is empty where there was none."""

    code: str
    device: Device | None = None
    secret: bytes = b""
    challenge: str = ""

    def __repr__(self) -> str:
        return f"Verdict({self.code!r}, {self.device.id if self.device else None!r})"


class Challenger:
    """Makes and checks challenges: 60 seconds, one device, one key. It keeps nothing; that each is
    used once is for the nonce store."""

    def __init__(self, vault: Vault) -> None:
        self._key = vault.derive("challenge")

    def _mac(self, head: bytes, claim: Claim) -> bytes:
        text = head + f"{claim.device}/{claim.key}".encode()
        return hmac.digest(self._key, text, "sha256")[:24]

    def make(self, claim: Claim, now: float) -> str:
        """64 characters."""
        head = struct.pack(">Q", int(now) + CHALLENGE_S) + os.urandom(16)
        return base64.urlsafe_b64encode(head + self._mac(head, claim)).decode()

    def use(self, claim: Claim, now: float) -> Nonce | None:
        """What is to be noted as used, or None for a challenge that is not ours, not for this
        device and key, or over."""
        data = base64.urlsafe_b64decode(claim.challenge)
        head, mac = data[:24], data[24:]
        expires_at = int(struct.unpack(">Q", head[:8])[0])
        if not hmac.compare_digest(mac, self._mac(head, claim)) or now >= expires_at:
            return None
        return Nonce(claim.device, head[8:].hex(), float(expires_at))


class Authenticator:
    """Judges requests.

    Args:
        limit: nonces that are kept of one device; a device at its limit must wait.
        mode: "hmac": a signature is needed; "mtls": a certificate, and a signature that is there
            must hold; "both".
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        nonces: NonceStore,
        *,
        limit: int,
        mode: str = "hmac",
        clock: Clock = SYSTEM,
    ) -> None:
        self._database = database
        self._vault = vault
        self._nonces = nonces
        self._limit = limit
        self._certificate_needed = mode != "hmac"
        self._signature_needed = mode != "mtls"
        self._clock = clock
        self._challenger = Challenger(vault)
        # Opened in place of an unknown device's key, so that this one costs the same.
        self._decoy = vault.seal(os.urandom(SECRET_SIZE), key_place(_NOBODY, _NO_KEY))

    def judge(self, attempts: Sequence[Attempt]) -> list[Verdict]:
        """One verdict for each, in order.

        Raises:
            StoreUnavailable: nothing can be said.
        """
        known = self._look_up({a.claim.device for a in attempts if a.claim.key})
        if not self._signature_needed:
            known |= self._look_up_unsigned({a.claim.device for a in attempts if not a.claim.key})
        now = self._clock.now()
        verdicts = [self._check(attempt, known, now) for attempt in attempts]
        uses = [self._use(a, v, now) for a, v in zip(attempts, verdicts, strict=True)]
        self._take(verdicts, uses, now)
        return verdicts

    def _look_up(self, ids: set[str]) -> dict[tuple[str, str], Any]:
        query = select(devices, device_keys.c.key_id, device_keys.c.sealed)
        query = query.join(device_keys, device_keys.c.device_id == devices.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(devices.c.id.in_(ids))).all()
        return {(row.id, row.key_id): row for row in rows}

    def _look_up_unsigned(self, ids: set[str]) -> dict[tuple[str, str], Any]:
        if not ids:
            return {}
        with self._database.reading() as connection:
            rows = connection.execute(select(devices).where(devices.c.id.in_(ids))).all()
        return {(row.id, ""): row for row in rows}

    def _check(
        self,
        attempt: Attempt,
        known: dict[tuple[str, str], Any],
        now: float,
    ) -> Verdict:
        """The verdict as far as signature, state and time decide it."""
        claim = attempt.claim
        row = known.get((claim.device, claim.key))
        if self._certificate_needed and attempt.certificate != claim.device:
            row = None  # another's certificate, or none: nobody we know
        if row is not None and not claim.key:
            return self._check_state(Device.from_row(row), b"")
        sealed = self._decoy if row is None else row.sealed
        who = (_NOBODY, _NO_KEY) if row is None else (claim.device, claim.key)
        place = key_place(*who)
        try:
            secret = self._vault.open(sealed, place)
        except ValueError as error:  # a row that somebody moved or damaged: nobody's key
            _log.error("%s", error)
            return Verdict("unauthorized")
        signed = verify_request(
            secret, claim, attempt.method, attempt.target, attempt.host, attempt.body
        )
        if row is None or not signed:
            return Verdict("unauthorized")
        verdict = self._check_state(Device.from_row(row), secret)
        if verdict.code:
            return verdict
        if not claim.challenge and abs(now - int(claim.time)) > WINDOW_S:
            challenge = self._challenger.make(claim, now)
            return Verdict("clock-skew", verdict.device, secret, challenge)
        return verdict

    @staticmethod
    def _check_state(device: Device, secret: bytes) -> Verdict:
        code = "" if device.state == ACTIVE else "device-disabled"
        return Verdict(code, device, secret)

    def _use(self, attempt: Attempt, verdict: Verdict, now: float) -> Nonce | None:
        claim = attempt.claim
        if verdict.code:
            return None
        if claim.challenge:
            return self._challenger.use(claim, now)
        # Without a signature the nonce is the server's own: it only counts the request.
        signed_at = float(claim.time) if claim.time else now
        return Nonce(claim.device, claim.nonce, signed_at + WINDOW_S)

    def _take(self, verdicts: list[Verdict], uses: list[Nonce | None], now: float) -> None:
        """Turns into refusals what is over its number, or no longer new."""
        wanted = sorted({use.device_id for use in uses if use is not None})
        counts = self._nonces.used(wanted, now) if wanted else {}
        taken: list[tuple[int, Nonce]] = []
        for index, (verdict, use) in enumerate(zip(verdicts, uses, strict=True)):
            if verdict.code:
                continue
            if use is None:
                verdicts[index] = _refused(verdict, "challenge-invalid")
            elif counts.get(use.device_id, 0) >= self._limit:
                verdicts[index] = _refused(verdict, "too-many-requests")
            else:
                counts[use.device_id] = counts.get(use.device_id, 0) + 1
                taken.append((index, use))
        new = self._nonces.take([use for _, use in taken], now)
        for (index, _), fresh in zip(taken, new, strict=True):
            if not fresh:
                verdicts[index] = _refused(verdicts[index], "replayed")


def _refused(verdict: Verdict, code: str) -> Verdict:
    return Verdict(code, verdict.device, verdict.secret)
