"""The commands that the documentation shows, as far as their arguments go."""

import os
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from lesionclick_training.cli.main import app
from lesionclick_training.nnunet.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[3]

PAGES = ("training/README.md", "docs/data.md", "docs/evaluation.md")


def shown_commands(page: str) -> list[str]:
    """The lines of code blocks that run lesionclick-train, continued lines joined, options in brackets taken."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    lines = re.findall(r"^ {4}.*?\b(lesionclick-train .*)", text, re.MULTILINE)
    return [re.sub(r"[\[\]]|; done$|\s#.*", "", line) for line in lines]


@pytest.mark.parametrize("line", [line for page in PAGES for line in shown_commands(page)])
def test_a_shown_command_parses(line: str) -> None:
    command = typer.main.get_command(app)
    _, *arguments = shlex.split(line)
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    command.make_context(line, arguments)


def test_every_page_shows_commands() -> None:
    assert all(shown_commands(page) for page in PAGES)


def test_named_variables_are_those_of_the_settings() -> None:
    named = set(re.findall(r"LESIONCLICK_[A-Z_]+(?==)", (ROOT / "training/README.md").read_text()))
    assert named
    assert named <= TrainingSettings(lesion_heads=Path(os.devnull), seed=0).to_environment().keys()
