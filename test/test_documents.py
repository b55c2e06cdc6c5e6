"""What docs/method.md names: files and tests that exist, commands that parse."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer.main
from conftest import ROOT

from lesionclick.cli.main import app

TEXT = (ROOT / "docs" / "method.md").read_text()

NAMED = re.findall(r"`([^`\n]+)`", TEXT)

SOURCES = sorted({name for name in NAMED if re.fullmatch(r"[a-z_]+/[a-z_]+\.py", name)})

TESTS = sorted({name for name in NAMED if name.startswith("test_")})

COMMANDS = re.findall(r"^ {4}lesionclick (.*)", TEXT.replace("\\\n", " "), re.MULTILINE)


def functions_of(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_kind_of_name_is_found() -> None:
    assert len(SOURCES) > 20
    assert len(TESTS) > 30
    assert COMMANDS


@pytest.mark.parametrize("name", SOURCES)
def test_a_named_file_exists(name: str) -> None:
    found = [root for root in ("lesionclick", "training/lesionclick_training") if (ROOT / root / name).is_file()]
    assert len(found) == 1


@pytest.mark.parametrize("name", TESTS)
def test_a_named_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    (path,) = (path for folder in ("test", "training/test") for path in (ROOT / folder).rglob(file))
    assert function in functions_of(path)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_shown_command_parses(line: str) -> None:
    name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]  # typer returns a group
    command.make_context(name, arguments)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_a_linked_page_exists(link: str) -> None:
    assert (ROOT / "docs" / link).is_file()
