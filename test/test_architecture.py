"""Which room may import which, and what must not be loaded before it is needed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

CASE_MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "lesionclick" / "case").glob("*.py")
    if path.name != "__init__.py"
)


def loaded_heavy_modules(statement: str) -> set[str]:
    """Which of torch, nnunetv2 and the other slow libraries a fresh interpreter has loaded after a statement."""
    heavy = {"torch", "nnunetv2", "openvino", "matplotlib", "highdicom"}
    program = f"{statement}\nimport sys\nprint(*({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_imports_keep_the_contract() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "import lesionclick",
        "import lesionclick.cli.main",
        "import lesionclick.inference.settings",
        "from lesionclick import Case, Click",
        f"import {', '.join(CASE_MODULES)}",
    ],
)
def test_heavy_libraries_are_loaded_when_needed(statement: str) -> None:
    assert not loaded_heavy_modules(statement)


def test_the_map_names_every_module_and_no_other() -> None:
    """The table of docs/architecture.md has a line a room, the last for modules that are in none."""
    text = (ROOT / "docs" / "architecture.md").read_text().partition("## Every module")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| \(?(\w+)\)? \| (.*) \|$", text, re.MULTILINE)[1:]
    told = {(room, name) for room, modules in lines for name in re.findall(r"`(\w+)`", modules)}
    package = ROOT / "lesionclick"
    modules = [path for path in package.rglob("*.py") if path.name != "__init__.py"]
    there = {("package" if path.parent == package else path.parent.name, path.stem) for path in modules}
    assert told == there


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports test files by their names alone, since their folders are no packages."""
    names = [path.name for folder in ("test", "training/test") for path in (ROOT / folder).rglob("*.py")]
    assert {name for name in names if names.count(name) > 1} <= {"conftest.py", "__init__.py"}
