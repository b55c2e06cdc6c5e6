"""The scripts around the images, with a docker that only notes what it is asked for."""

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

DOCKER = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$NOTES"
case "$*" in
"build --help") printf '%s\\n' $KNOWN ;;
"image inspect --format {{.Size}}"*) echo "$SIZE" ;;
save*) echo layers ;;
esac
"""


class Docker:
    """A checkout whose scripts find a docker that does nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.notes = folder / "notes"
        self.notes.touch()
        self.programs = folder / "programs"
        self.programs.mkdir()
        (self.programs / "docker").write_text(DOCKER)
        (self.programs / "docker").chmod(0o755)
        model = self.folder / "resources" / "model"
        model.mkdir(parents=True)
        (model / "plans.json").write_text("{}")
        for script in ("build.sh", "export.sh", "lesionclick/__init__.py"):
            (self.folder / script).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / script, self.folder / script)

    def run(self, script: str, *arguments: str, known: str = "", size: int = 1) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": f"{self.programs}:/usr/bin:/bin", "NOTES": str(self.notes), "KNOWN": known}
        return subprocess.run(
            [self.folder / script, *arguments],
            env={**variables, "SIZE": str(size)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def built(self, *arguments: str, known: str = "") -> str:
        done = self.run("build.sh", *arguments, known=known)
        assert done.returncode == 0, done.stderr
        return self.notes.read_text().splitlines()[-1]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path)


def test_build_makes_the_image_of_the_platform_unless_asked_otherwise(docker: Docker) -> None:
    assert "--target inference -t lesionclick --build-arg" in docker.built()
    assert "--target inference -t mine --build-arg" in docker.built("mine")
    assert "--target inference -t lesionclick --build-arg" in docker.built("--api", "exec")
    assert "--target invoke -t lesionclick --build-arg" in docker.built("--api", "invoke")
    assert "--target invoke -t mine" in docker.built("--api", "invoke", "--target", "inference", "mine")
    assert "--target serve -t lesionclick-serve --build-arg" in docker.built("--target", "serve")
    assert "--target serve -t mine --build-arg" in docker.built("mine", "--target", "serve")


def test_build_attaches_nothing_that_the_platform_refuses(docker: Docker) -> None:
    assert docker.built(known="--provenance --sbom").endswith(" --provenance=false --sbom=false .")
    assert docker.built(known="--provenance").endswith(" --provenance=false .")
    assert "=false" not in docker.built()  # an older docker, which attaches nothing and knows no such options


@pytest.mark.parametrize(
    "arguments",
    [
        ["--target"],
        ["--target", "page"],
        ["--api", "--target"],
        ["-t", "x"],
        ["a", "b"],
        ["--target", "serve", "--api", "invoke"],
    ],
)
def test_build_refuses_what_it_does_not_know(docker: Docker, arguments: list[str]) -> None:
    done = docker.run("build.sh", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not docker.notes.read_text()


def test_export_refuses_an_image_that_the_platform_would_not_take(docker: Docker) -> None:
    done = docker.run("export.sh", size=10**10 + 1)
    assert done.returncode == 2
    assert done.stderr == "error: lesionclick: has 10000 MB unpacked, the platform takes at most 10 GB\n"
    assert not (docker.folder / "dist").exists()
    assert docker.run("export.sh", size=10**10).returncode == 0
    assert {path.name for path in (docker.folder / "dist").iterdir()} == {"model.tar.gz", "lesionclick.tar.gz"}
