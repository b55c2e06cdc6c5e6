"""Writes requirements.txt: what pyproject.toml asks for and what that brings along, resolved and pinned.

.venv/bin/python .ci/requirements.py [--upgrade [NAME ...]]

pip resolves in a fresh environment, and nothing is installed. Pins stay as they are unless they are named, or no name
is given; then the newest versions that fit are taken. torch stays open, and what torch itself needs is left out, so
that a base image's own build of torch is kept with its companions.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
TORCH = "torch"
TIED_TO_TORCH = {"torchaudio", "torchvision"}  # each needs one version of torch, so that a pin would pin torch
HEAD = """\
# What lesionclick runs with, as tested; .ci/requirements.py makes this file from pyproject.toml. torch stays open so
# that a base image's own build is kept (3D convolution regressed in 2.9).
"""
BESIDE = "\n# What these bring along, torch's own companions apart.\n"


def read_dependencies() -> list[str]:
    """What pyproject.toml says that the package needs, extras apart."""
    dependencies: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return dependencies


def read_pins(text: str) -> dict[str, str]:
    """The pinned versions of a requirements file by normalized name."""
    pins = (line.partition("==") for line in text.splitlines() if "==" in line and not line.startswith("#"))
    return {normalize(name): version for name, _, version in pins}


def normalize(name: str) -> str:
    """A package's name as registries compare it."""
    return str(canonicalize_name(name))


def resolve(dependencies: Iterable[str], pins: Mapping[str, str]) -> list[dict[str, Any]]:
    """The metadata of every package that pip would install in a fresh environment, with these versions kept."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        venv.create(folder / "venv", with_pip=True)
        (folder / "wanted.txt").write_text("\n".join(dependencies))
        (folder / "kept.txt").write_text("\n".join(f"{name}=={version}" for name, version in pins.items()))
        report = folder / "report.json"
        subprocess.run(
            [
                *(folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--dry-run"),
                *("--report", report, "--constraint", folder / "kept.txt", "--requirement", folder / "wanted.txt"),
            ],
            check=True,
        )
        return [package["metadata"] for package in json.loads(report.read_text())["install"]]


def pin(dependencies: Sequence[str], packages: Iterable[Mapping[str, Any]]) -> str:
    """The text of requirements.txt.

    Args:
        dependencies: what pyproject.toml asks for.
        packages: the metadata of everything that pip found for it.
    """
    found = {normalize(package["name"]): package for package in packages}
    asked = {normalize(Requirement(line).name): line for line in dependencies}
    direct = sorted(asked.keys() - {TORCH})
    left_out = needed_by(TORCH, found) | TIED_TO_TORCH
    beside = sorted(found.keys() - asked.keys() - left_out)
    first, second = ([f"{name}=={found[name]['version']}" for name in names] for names in (direct, beside))
    return "\n".join([HEAD + asked[TORCH], *first, BESIDE + second[0], *second[1:], ""])


def needed_by(name: str, found: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The normalized names of a package and of all that it needs, directly or not, of those found."""
    seen: set[tuple[str, str]] = set()  # a package and one of its extras, or ""
    waiting = [(name, "")]
    while waiting:
        current, extra = waiting.pop()
        if (current, extra) in seen or current not in found:
            continue
        seen.add((current, extra))
        for requirement in map(Requirement, found[current].get("requires_dist", [])):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(normalize(requirement.name), each) for each in ("", *requirement.extras)]
    return {current for current, _ in seen}


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description="Writes requirements.txt from pyproject.toml.")
    parser.add_argument("--upgrade", nargs="*", metavar="NAME", help="take the newest version of these; of all if none")
    upgraded = parser.parse_args(arguments).upgrade
    pins = read_pins(REQUIREMENTS.read_text())
    if upgraded is not None:
        renewed = {normalize(name) for name in upgraded} or set(pins)
        pins = {name: version for name, version in pins.items() if name not in renewed}
    dependencies = read_dependencies()
    REQUIREMENTS.write_text(pin(dependencies, resolve(dependencies, pins)))
    print(REQUIREMENTS.relative_to(ROOT), file=sys.stderr)


if __name__ == "__main__":
    main()
