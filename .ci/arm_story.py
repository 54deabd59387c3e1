"""The README's recipe for 32-bit ARM, run as it stands, and one upload by token with what it gave.

In flows a prepared root, out flows a line of what happened. The local cloud runs on this machine;
the camera's side sees the wheel, the distribution's cffi and a token, nothing else.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from camera_tests import RESULTS
from debian_roots import BUILD, Machine, environment, our_wheel

# README.md holds these lines; a test compares. The first is for people: a root has its packages.
RECIPE = (
    "sudo apt-get install python3-venv python3-cffi",
    "python3 -m venv --system-site-packages camera",
    "camera/bin/pip install --no-index --find-links wheelhouse ossmedia",
)
CLOUD = """
import json, sys
from ossmedia import Bucket, Credentials, crc64
from ossmedia.emulator.serve import Emulator
from ossmedia.sts import TokenIssuer

with Emulator(buckets=("cams",)) as cloud:
    owner = Credentials(cloud.access_key_id, cloud.access_key_secret)
    issuer = TokenIssuer(
        cloud.role_arn, "cams", credentials=owner, endpoint=cloud.sts_endpoint,
        secure_transport=False,
    )
    token = issuer.get_token("cams/cam-01/*", "w", ttl_s=900, device="cam-01")
    wire = {"endpoint": cloud.endpoint, "region": cloud.region, "token": token.to_json()}
    print(json.dumps(wire), flush=True)
    sys.stdin.readline()
    with Bucket("cams", endpoint=cloud.endpoint, region=cloud.region, credentials=owner) as cams:
        stat = cams.stat("cams/cam-01/clip.bin")
    print(json.dumps({"size": stat.size, "crc64": stat.crc64}), flush=True)
"""
CAMERA = """
import json, sys
from ossmedia import Bucket, Credentials, crc64

given = json.loads(sys.argv[1])
token = Credentials.from_json(given["token"])
data = bytes(range(256)) * 4096
with Bucket(
    "cams", endpoint=given["endpoint"], region=given["region"], credentials=token
) as cams:
    with cams.open("cams/cam-01/clip.bin", "wb", block_size=102_400) as f:
        f.write(data)
    try:
        cams.stat("cams/cam-01/clip.bin")
    except PermissionError:
        pass
    else:
        raise SystemExit("a token to write reads")
print(json.dumps({"size": len(data), "crc64": crc64(data)}))
"""


def follow(machine: Machine, folder: Path) -> None:
    """The recipe in an empty folder with a wheelhouse; ``python3`` is the root's."""
    (folder / "wheelhouse").mkdir(parents=True)
    shutil.copy(our_wheel(machine), folder / "wheelhouse")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "python3").write_text(f'#!/bin/sh\nexec {machine.script} "$@"\n')
    (programs / "python3").chmod(0o755)
    inside = machine.root / folder.relative_to("/")
    shutil.rmtree(inside, ignore_errors=True)
    for line in RECIPE[1:]:
        command = ["/bin/sh", "-ec", line]
        subprocess.run(command, check=True, cwd=folder, env=clean(folder), timeout=580)
        if not inside.exists():
            show_elf(machine, folder / "camera/bin")


def show_elf(machine: Machine, programs: Path) -> None:
    """What pip looks into to learn the architecture: the environment's Python, which outside of
    qemu is a script. qemu looks into the root first, whatever the path."""
    inside = machine.root / programs.relative_to("/")
    inside.mkdir(parents=True)
    for name in ("python", "python3", f"python{machine.python}", machine.script.name):
        (inside / name).hardlink_to(machine.root / f"usr/bin/python{machine.python}")


def clean(folder: Path) -> dict[str, str]:
    """The camera's environment: no path to the tests' packages."""
    variables = environment(OSSMEDIA_BARE="1", LC_ALL="C.UTF-8")
    return {**variables, "PATH": f"{folder / 'programs'}:{variables['PATH']}"}


def upload(folder: Path) -> dict[str, int]:
    """One object by a token that may write under one prefix; what OSS has must be what was sent."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-P", "-c", CLOUD], cwd=folder, **pipes) as cloud:
        assert cloud.stdout is not None
        given = cloud.stdout.readline()
        done = subprocess.run(
            [str(folder / "camera/bin/python"), "-c", CAMERA, given],
            check=True,
            cwd=folder,
            env=clean(folder),
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        stored = json.loads(cloud.communicate("\n", timeout=60)[0])
    sent: dict[str, int] = json.loads(done.stdout)
    assert stored == sent, f"sent {sent}, stored {stored}"
    return sent


def run_story(machine: Machine) -> int:
    """0 when the recipe and the upload went through; the line stays under build/roots/results."""
    folder = BUILD / f"{machine.name}-camera"
    shutil.rmtree(folder, ignore_errors=True)
    told = RESULTS / machine.name / "story.txt"
    told.parent.mkdir(parents=True, exist_ok=True)
    told.unlink(missing_ok=True)
    began = time.monotonic()
    try:
        follow(machine, folder)
        sent = upload(folder)
    except (subprocess.SubprocessError, AssertionError, ValueError) as error:
        told.write_text("FAILED\n")
        print(f"story: {error}")
        return 1
    told.write_text(f"{sent['size']} bytes by token\n")
    print(f"story: installed and {sent['size']} bytes by token, {time.monotonic() - began:.0f} s")
    return 0
