"""Sockets: the inputs.json that the platform writes beside a case, which says what lies where.

[{"socket": {"slug": "ct-image", "relative_path": "images/ct", ...}, "image": {...}, "file": null, "value": null}, ...]

That is a list with an entry an input; older ones say `interface` instead of `socket`. What an entry says of kinds and
values is not needed here: the platform writes every value to its path, and each image into a folder at its path.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lesionclick.errors import CaseError
from lesionclick.files import is_inside, read_json, short_json

logger = logging.getLogger(__name__)

INPUTS_FILE = Path("inputs.json")


@dataclass(frozen=True)
class Wanted:
    """An input that is looked for.

    Attributes:
        slugs: of its socket, the one to name in a sentence first.
        path: where it lies in the input folder, by which it is known where no slug is.
    """

    slugs: tuple[str, ...]
    path: Path


def find_inputs(folder: Path, wanted: Mapping[str, Wanted]) -> dict[str, Path] | None:
    """Where inputs lie, by their sockets' slugs, or else by their usual paths; whether they are there is not looked at.

    Args:
        folder: what holds inputs.json.
        wanted: what is looked for, by what it is in a sentence ("the CT").

    Returns:
        A path for each, or None where there is no inputs.json.

    Raises:
        CaseError: inputs.json is damaged, lacks one of them, has one twice, or names a path out of the folder.
    """
    file = folder / INPUTS_FILE
    if not file.exists():
        return None
    sockets = _read_sockets(file)
    found: dict[str, Path] = {}
    for name, want in wanted.items():
        known = [socket for socket in sockets if socket.slug in want.slugs]
        known = known or [socket for socket in sockets if socket.path == want.path]
        if not known:
            what = name.removeprefix("the ")
            raise CaseError(f"{file}: names no {what}, expected a socket {want.slugs[0]!r} or the path {want.path}")
        if len(known) > 1:
            listed = ", ".join(repr(socket.slug) for socket in known)
            raise CaseError(f"{file}: has {len(known)} sockets for {name} ({listed}), expected one")
        (socket,) = known
        if not is_inside(folder / socket.path, folder):
            raise CaseError(f"{file}: the path {str(socket.path)!r} leads out of {folder}, expected one in it")
        for other, path in found.items():
            if path == folder / socket.path:
                raise CaseError(f"{file}: {other} and {name} are both at {socket.path}, expected a path each")
        found[name] = folder / socket.path
        sockets.remove(socket)
    for socket in sockets:
        logger.info("%s: the socket %r is none of this task and is ignored", file, socket.slug)
    return found


@dataclass(frozen=True)
class _Socket:
    slug: str
    path: Path


def _read_sockets(file: Path) -> list[_Socket]:
    content = read_json(file, CaseError)
    if not isinstance(content, list):
        raise CaseError(f"{file}: expected a list of sockets, found {short_json(content)}")
    return [_parse(file, place, content) for place in range(len(content))]


def _parse(file: Path, place: int, content: Sequence[Any]) -> _Socket:
    entry = content[place]
    about = entry.get("socket", entry.get("interface")) if isinstance(entry, dict) else None
    named = [about.get(key) for key in ("slug", "relative_path")] if isinstance(about, dict) else []
    match named:
        case [str(slug), str(path)] if "\0" not in path:
            return _Socket(slug, Path(path))
        case _:
            raise CaseError(
                f"{file}: entry {place} is no socket with slug and relative_path, found {short_json(entry)}"
            )
