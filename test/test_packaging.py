"""One version number, and requirements.txt as what pyproject.toml asks for, pinned."""

import re
import runpy
import tomllib
from typing import Any

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lesionclick

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
SCRIPT = runpy.run_path(str(ROOT / ".ci" / "requirements.py"))


def package(name: str, version: str, *needed: str) -> dict[str, Any]:
    return {"name": name, "version": version, "requires_dist": list(needed)}


@pytest.mark.parametrize("dependency", PROJECT["dependencies"])
def test_requirements_pin_what_the_package_needs(dependency: str) -> None:
    wanted = Requirement(dependency)
    if wanted.name == "torch":
        assert dependency in REQUIREMENTS.splitlines()
    else:
        assert wanted.specifier.contains(SCRIPT["read_pins"](REQUIREMENTS)[canonicalize_name(wanted.name)])


def test_requirements_name_versions_and_nothing_else() -> None:
    lines = [line for line in REQUIREMENTS.splitlines() if line and not line.startswith(("#", "torch>"))]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize(("extra", "lines"), PROJECT["optional-dependencies"].items())
def test_extras_are_pinned(extra: str, lines: list[str]) -> None:
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9-]+==[0-9.]+", line) for line in lines)


def test_torch_and_what_it_brings_stay_open() -> None:
    found = [
        package("Torch", "2.8", "sympy>=1.13", "cuda[fft]; sys_platform == 'nowhere'", "gpu[fft]==13"),
        package("sympy", "1.14", "mpmath"),
        package("mpmath", "1.3"),
        package("gpu", "13", "fft; extra == 'fft'", "solver; extra == 'solver'"),
        package("fft", "1"),
        package("solver", "2"),
        package("Sci.Py", "1.17", "numpy"),
        package("numpy", "2.4"),
        package("torchvision", "0.23", "torch==2.8", "numpy"),
    ]
    text = SCRIPT["pin"](["Sci_Py>=1", "torch>=2.7,!=2.9.*"], found)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines == ["torch>=2.7,!=2.9.*", "sci-py==1.17", "numpy==2.4", "solver==2"]


def test_one_version_number() -> None:
    version = lesionclick.__version__
    training = tomllib.loads((ROOT / "training" / "pyproject.toml").read_text())["project"]
    assert training["version"] == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    released = re.search(r"^## \[([0-9.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released
    assert released[1] == version
