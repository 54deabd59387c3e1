"""The README's recipe for 32-bit ARM is what `make arm` runs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def constant(path: str, name: str) -> Any:
    """The literal that a program of .ci/ is written with."""
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"{path} has no {name}")


def test_the_readme_says_what_runs() -> None:
    recipe = constant(".ci/arm_story.py", "RECIPE")
    block = "".join(f"    {line}\n" for line in recipe)
    assert f"\n\n{block}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_roots_hold_what_the_recipe_installs() -> None:
    command, *_ = constant(".ci/arm_story.py", "RECIPE")
    assert command.startswith("sudo apt-get install ")
    roots = (ROOT / ".ci/debian_roots.py").read_text(encoding="utf-8")
    assert all(f'"{package}"' in roots for package in command.split()[3:])
