"""What the tests of recordings work with: the application server on the local cloud, cameras that
store, people who look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import oss2

from ossmedia import AppServerCredentials, Bucket
from ossmedia.device_link import DeviceLink
from ossmedia.server.parts import Parts, open_registry
from ossmedia.server.passwords import Cost
from ossmedia.server.people import People
from ossmedia.server.serve import Running
from ossmedia.server.sessions import Sessions, csrf_of
from tests.unit.server.rig import Answer, send, write_settings

QUICK = Cost(2, 1, 1)
BUCKET = "cams"


class Viewer:
    """Somebody's signed-in browser."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.headers = {"Cookie": f"ossmedia={token}"}
        self.csrf = csrf_of(token)

    def get(self, path: str, **query: Any) -> Answer:
        target = f"{path}?{urlencode(query)}" if query else path
        return send(self.url, "GET", target, b"", self.headers)

    def change(self, method: str, path: str, data: Any = None, csrf: str | None = None) -> Answer:
        body = b"" if data is None else json.dumps(data).encode()
        headers = {**self.headers, "x-ossmedia-csrf": self.csrf if csrf is None else csrf}
        return send(self.url, method, path, body, headers)

    def list(self, camera: str, day: str, **more: Any) -> list[dict[str, Any]]:
        answer = self.get("/v1/recordings", camera=camera, day=day, **more)
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = answer.json["recordings"]
        return found


class Site:
    """An application server on the local cloud, with its own database."""

    def __init__(self, cloud: Any, folder: Path, clock: Any = None, **tables: Any) -> None:
        self.cloud, self.folder, self.tables = cloud, folder, tables
        self.environ = {
            "OSS_ACCESS_KEY_ID": cloud.access_key_id,
            "OSS_ACCESS_KEY_SECRET": cloud.access_key_secret,
        }
        self.settings = write_settings(folder, **self._tables())
        more = {} if clock is None else {"clock": clock}
        self.parts = Parts(self.settings, environ=self.environ, **more)
        self.running = Running(self.parts)
        self.url = self.running.url
        self.archive, self.clock = self.parts.archive, self.parts.clock
        self.database, _, self.registry = open_registry(self.settings)
        self.people = People(self.database, self.clock, QUICK)
        self._session = oss2.Session()
        auth = oss2.AuthV4(cloud.access_key_id, cloud.access_key_secret)
        self.oss = oss2.Bucket(
            auth, cloud.endpoint, BUCKET, region=cloud.region, session=self._session
        )

    def _tables(self) -> dict[str, Any]:
        cloud = self.cloud
        usual: dict[str, dict[str, Any]] = {
            "sts": {
                "role_arn": cloud.role_arn,
                "endpoint": cloud.sts_endpoint,
                "region": cloud.region,
                "secure_transport": False,
            },
            "oss": {"bucket": BUCKET, "endpoint": cloud.endpoint, "region": cloud.region},
            "recordings": {"callback_keys_from": cloud.endpoint + "/"},
        }
        given: dict[str, Any] = {}
        for name, value in self.tables.items():
            given[name] = {**usual.get(name, {}), **value} if isinstance(value, dict) else value
        return {**usual, **given}

    def __enter__(self) -> Site:
        self.running.__enter__()
        return self

    def __exit__(self, *told: Any) -> None:
        self.running.__exit__(*told)
        self.database.close()
        self._session.session.close()

    def device(self, device_id: str, **record: Any) -> str:
        """Registers a device; its key."""
        return str(self.registry.add(device_id, **record)[1])

    def bucket(self, device_id: str, key: str) -> Bucket:
        """The bucket, as a camera reaches it."""
        provider = AppServerCredentials(self.url, device_id, key, allow_insecure=True)
        cloud = self.cloud
        return Bucket(BUCKET, endpoint=cloud.endpoint, region=cloud.region, credentials=provider)

    def link(self, device_id: str, key: str) -> DeviceLink:
        return DeviceLink(self.url, device_id, key, allow_insecure=True)

    def viewer(self, name: str, *cameras: str, admin: bool = False) -> Viewer:
        """Somebody new, signed in."""
        person = self.people.add(name, "a long password", admin=admin, cameras=cameras)
        token = Sessions(self.database, 3600, 86_400, self.clock).begin(person)
        return Viewer(self.url, token)

    def store(self, key: str, data: bytes = b"video", **meta: Any) -> str:
        """An object, stored by nobody's camera."""
        kind = meta.pop("content_type", "video/mp4")
        told = {f"x-oss-meta-ossmedia-{name}": str(value) for name, value in meta.items()}
        self.oss.put_object(key, data, headers={"Content-Type": kind, **told})
        return key
