"""people_commands.py, page_commands.py: the operator's words for people and the page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from ossmedia import cli
from ossmedia.server import people_commands
from tests.unit.server.test_commands import TOML, read, run

SECRET = "a long password"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "ossmedia.toml"
    path.write_text(TOML)
    assert run("db", "upgrade", "-c", path) == 0
    for camera in ("cam-1", "cam-2"):
        assert run("device", "add", camera, "-c", path, "--no-key") == 0
    return str(path)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What stands on standard input."""
    lines = io.StringIO()
    monkeypatch.setattr("sys.stdin", lines)
    return lines


def type_in(typed: io.StringIO, text: str) -> None:
    typed.seek(0)
    typed.truncate()
    typed.write(text)
    typed.seek(0)


def test_the_life_of_a_person(
    config: str, capsys: pytest.CaptureFixture[str], typed: io.StringIO
) -> None:
    type_in(typed, SECRET + "\n")
    (made,) = read(capsys, "user", "add", "anna", "--camera", "cam-1", "-c", config)
    assert made == {"name": "anna", "admin": False, "cameras": ["cam-1"]}
    (boss,) = read(capsys, "user", "add", "boss", "--admin", "--generate", "-c", config)
    assert len(boss["password"]) == 20
    assert boss["cameras"] is None
    (more,) = read(capsys, "user", "grant", "anna", "cam-2", "-c", config)
    assert more["cameras"] == ["cam-1", "cam-2"]
    (less,) = read(capsys, "user", "revoke", "anna", "cam-1", "-c", config)
    assert less["cameras"] == ["cam-2"]
    (other,) = read(capsys, "user", "passwd", "boss", "--generate", "-c", config)
    assert other["password"] != boss["password"]
    listed = read(capsys, "user", "list", "-c", config)
    assert listed == [less, {"name": "boss", "admin": True, "cameras": None}]
    read(capsys, "user", "remove", "anna", "-c", config)
    assert [person["name"] for person in read(capsys, "user", "list", "-c", config)] == ["boss"]


def test_lines_for_people(
    config: str, capsys: pytest.CaptureFixture[str], typed: io.StringIO
) -> None:
    type_in(typed, SECRET + "\n")
    for words in (
        ("add", "anna"),
        ("grant", "anna", "cam-1"),
        ("grant", "anna", "--admin"),
        ("list",),
    ):
        assert run("user", *words, "-c", config) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[-4:]]
    assert shown == ["anna no camera", "anna cam-1", "anna all cameras", "anna all cameras"]
    assert run("user", "add", "bea", "--generate", "-c", config) == 0
    out = capsys.readouterr().out
    assert len(out) == 21, "a made password stands alone on its line"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("add", "Anna"), 2, "name: must be 1-64"),
        (("add", "anna"), 2, "password: must have 12-256 characters"),
        (("add", "anna", "--generate", "--camera", "cam-9"), 4, "'cam-9' is not registered"),
        (("grant", "bea", "cam-1"), 4, "person 'bea' is not known"),
        (("grant", "bea"), 2, "camera: name at least one, or --admin"),
        (("passwd", "bea", "--generate"), 4, "person 'bea' is not known"),
        (("remove", "bea"), 4, "person 'bea' is not known"),
        (("add", "anna", "--password", SECRET), 2, "unrecognized"),
        ((), 2, "required"),
    ],
)
def test_what_cannot_be(
    config: str,
    capsys: pytest.CaptureFixture[str],
    typed: io.StringIO,
    words: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    type_in(typed, "short\n")
    assert run("user", *words, *(("-c", config) if words else ())) == code
    told = capsys.readouterr()
    assert text in told.err
    assert "short" not in told.err
    assert run("user", "list", "-c", config) == 0
    assert capsys.readouterr().out == ""


def test_a_terminal_is_asked_twice_and_shows_nothing(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[str] = []
    answers = [SECRET, SECRET, SECRET, SECRET + "!"]

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return answers.pop(0)

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(people_commands, "getpass", ask)
    assert run("user", "add", "anna", "-c", config) == 0
    assert run("user", "passwd", "anna", "-c", config) == 2
    assert "the two differ" in capsys.readouterr().err
    assert asked == ["Password: ", "Once more: "] * 2


def test_the_pages_origin(cloud: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = TOML.replace("https://oss-cn-hangzhou.aliyuncs.com", cloud.endpoint)
    path = tmp_path / "ossmedia.toml"
    path.write_text(lines + f'region = "{cloud.region}"\n')
    assert read(capsys, "page", "origins", "-c", path) == []
    own = "https://watch.example.com"
    for _ in range(2):  # the second time it is there already
        shown = read(capsys, "page", "allow-origin", own, "-c", path)
        assert shown == [{"origins": [own], "methods": ["GET", "HEAD"]}]
    for number in range(9):
        read(capsys, "page", "allow-origin", f"https://{number}.example.com", "-c", path)
    assert run("page", "allow-origin", "https://one.more.example", "-c", path) == 2
    assert "has 10 rules" in capsys.readouterr().err
    assert len(read(capsys, "page", "origins", "-c", path)) == 10
    for bad in ("*", "watch.example.com", "https://watch.example.com/page"):
        assert run("page", "allow-origin", bad, "-c", path) == 2
        assert "origin: must be origins like" in capsys.readouterr().err


def test_a_key_that_may_not_is_told(
    cloud: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    path = tmp_path / "ossmedia.toml"
    lines = TOML.replace("https://oss-cn-hangzhou.aliyuncs.com", cloud.endpoint)
    path.write_text(lines + f'region = "{cloud.region}"\n')
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "wrong")
    assert run("page", "allow-origin", "https://watch.example.com", "-c", path) == 1
    assert "OSS refused: 403" in capsys.readouterr().err
    assert "page" in cli._SERVER
