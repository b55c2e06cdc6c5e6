"""Images of tests, built by build.sh and run by whatever answers to `docker`."""

import subprocess
from pathlib import Path

from conftest import ROOT

RESTRICTIONS = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--pids-limit", "256")


def docker(*arguments: object, check: bool = True, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, done.stderr
    return done


def docker_answers() -> bool:
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def build(*arguments: str) -> None:
    done = subprocess.run([ROOT / "build.sh", *arguments], capture_output=True, text=True, timeout=2400)
    assert done.returncode == 0, done.stderr[-4000:]


def label_of(image: str, name: str) -> str:
    return docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{name}"}}}}', image).stdout.strip()


def open_folder(path: Path) -> Path:
    """A folder that any user of a container may write to, as on the platform."""
    path.mkdir()
    path.chmod(0o777)
    return path
