"""Saving: a session in a folder, written whole or not at all, and read with one clear sentence where it is damaged.

    session.json    clicks with their history, settings, what the images are, and which of the parts belong to it
    parts/          CT, PET and starting mask (.mha), and what tiles gave (.bin), under names that tell their content

Parts are only ever added before session.json takes its new name, and those that it does not need are removed
afterwards: whenever the process ends, session.json and all of its parts are there. A part of an earlier save that is
still needed is not written again.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click, Label
from lesionclick.case.geometry import Geometry
from lesionclick.case.images import array_from_image, read_image, read_mask, write_image, write_mask
from lesionclick.errors import CaseError
from lesionclick.files import describe_error, read_json_object, write_json
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks, PostProcessing
from lesionclick.inference.tile_cache import TileKey
from lesionclick.inference.tile_sums import TileSum
from lesionclick.session.starting_mask import Start
from lesionclick.session.tile_files import TileFiles

SESSION_FILE = "session.json"

PARTS_FOLDER = "parts"

PROGRAM = "lesionclick session"

VERSION = 1


@dataclass(frozen=True, eq=False)
class SavedSession:
    """All that makes a session.

    Attributes:
        case: its images.
        settings: what it was opened with.
        states: the clicks of its history, see `ClickHistory`.
        place: which of the states counts.
        start: the starting mask with its clicks; None for none.
        maker: a digest of what computed the sums.
        tile_sums: what tiles gave, the least recently used first.
    """

    case: Case
    settings: InferenceSettings
    states: Sequence[tuple[Click, ...]]
    place: int
    start: Start | None
    maker: str
    tile_sums: Sequence[tuple[TileKey, TileSum]] = field(repr=False)


def write_session(saved: SavedSession, folder: Path, *, with_images: bool) -> None:
    """See `Session.save`."""
    _require_replaceable(folder)
    case, parts = saved.case, folder / PARTS_FOLDER
    digests = {name: _digest(image) for name, image in _images(case).items()}
    files = {}
    if with_images:
        files = {name: f"{name}-{digest}.mha" for name, digest in digests.items()}
        for name, file in files.items():
            if not (parts / file).is_file():
                write_image(_images(case)[name], case.geometry, parts / file)
    start: dict[str, Any] | None = None
    clicks = _Table()
    if saved.start is not None:
        mask_zyx = saved.start.mask_zyx
        start = {"file": f"start-{_digest(mask_zyx)}.mha", "clicks": clicks.numbers(saved.start.clicks)}
        if not (parts / start["file"]).is_file():
            write_mask(mask_zyx, case.geometry, parts / start["file"])
    tile_files = TileFiles(parts, saved.maker)
    tiles = [tile_files.write(key, tile_sum) for key, tile_sum in saved.tile_sums]
    states = [clicks.numbers(state) for state in saved.states]
    document = {
        "program": PROGRAM,
        "version": VERSION,
        "case": {"name": case.name, **asdict(case.geometry), "digests": digests, "files": files},
        "settings": asdict(saved.settings),
        "clicks": [[click.x, click.y, click.z, click.label] for click in clicks.rows],
        "history": {"states": states, "place": saved.place},
        "start": start,
        "maker": saved.maker,
        "tiles": tiles,
    }
    write_json(document, folder / SESSION_FILE)
    needed = {*files.values(), *(each["file"] for each in tiles), *([start["file"]] if start else [])}
    _remove_others(folder, needed)


def read_session(folder: Path, maker: str, patch: Sequence[int], case: Case | None) -> SavedSession:
    """See `Session.restore`.

    Args:
        folder: as `write_session` left it.
        maker: of the networks that are going to be used; sums of others are left.
        patch: of these networks.
        case: whose images to take; None for those in the folder.

    Raises:
        CaseError: the folder is damaged or no session's, or there are no images or others.
    """
    document = _read_document(folder)
    with _damage_in_words(folder):
        return _parse(document, folder / PARTS_FOLDER, maker, patch, case)


def require_same_maker(folder: Path, maker: str, settings: InferenceSettings) -> None:
    """Raises CaseError where a saved session is damaged or none, or was made in another way; reads no part of it.

    Args:
        folder: as `write_session` left it.
        maker: a digest of what is going to compute sums.
        settings: with which it is going to.
    """
    document = _read_document(folder)
    with _damage_in_words(folder):
        if document["maker"] != maker:
            raise CaseError(f"{folder}: was saved with another model, version or device")
        if _parse_settings(document["settings"]) != settings:
            raise CaseError(f"{folder}: was saved with other settings")


def _read_document(folder: Path) -> dict[str, Any]:
    path = folder / SESSION_FILE
    if folder.is_dir() and not path.exists():
        raise CaseError(f"{folder}: holds no {SESSION_FILE}, expected the folder of a saved session")
    document = read_json_object(path, CaseError)
    if document.get("program") != PROGRAM:
        raise CaseError(f"{path}: is not that of a saved session of LesionClick")
    if document.get("version") != VERSION:
        raise CaseError(f"{path}: has the version {json.dumps(document.get('version'))}, expected {VERSION}")
    return document


@contextlib.contextmanager
def _damage_in_words(folder: Path) -> Iterator[None]:
    """Turns what look-ups in a damaged document raise into one sentence."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise CaseError(f"{folder / SESSION_FILE}: is damaged: {describe_error(error)}") from error


def _parse(
    document: Mapping[str, Any], parts: Path, maker: str, patch: Sequence[int], case: Case | None
) -> SavedSession:
    about = document["case"]
    geometry = Geometry(*(tuple(about[name]) for name in ("size", "spacing", "origin", "direction")))
    clicks = [_parse_click(each, geometry) for each in document["clicks"]]
    states = [tuple(clicks[number] for number in state) for state in document["history"]["states"]]
    place = document["history"]["place"]
    if type(place) is not int or not 0 <= place < len(states):
        raise ValueError(f"place {place} of {len(states)} in the history of clicks")
    if case is None:
        case = _read_images(about, geometry, parts, states[0])
    _require_same_images(case, geometry, about["digests"], parts.parent)
    start = document["start"]
    tile_files = TileFiles(parts, maker)
    is_ours = document["maker"] == maker
    return SavedSession(
        case=case,
        settings=_parse_settings(document["settings"]),
        states=states,
        place=place,
        start=None if start is None else _read_start(start, clicks, geometry, parts),
        maker=maker,
        tile_sums=tile_files.read_all(document["tiles"], patch) if is_ours else [],
    )


def _parse_settings(settings: Mapping[str, Any]) -> InferenceSettings:
    return InferenceSettings(
        FieldOfView(settings["field_of_view"]),
        Mirroring(settings["mirroring"]),
        Networks(settings["networks"]),
        PostProcessing(**settings["post_processing"]),
    )


class _Table:
    """Clicks by number, each once."""

    def __init__(self) -> None:
        self.rows: list[Click] = []
        self._numbers: dict[Click, int] = {}

    def numbers(self, clicks: Iterable[Click]) -> list[int]:
        """The numbers of clicks, which are added where they are missing."""
        for click in clicks:
            if self._numbers.setdefault(click, len(self.rows)) == len(self.rows):
                self.rows.append(click)
        return [self._numbers[click] for click in clicks]


def _parse_click(row: Any, geometry: Geometry) -> Click:
    x, y, z, label = row
    inside = all(type(at) is int and 0 <= at < size for at, size in zip((x, y, z), geometry.size, strict=True))
    if not inside or label not in get_args(Label):
        raise ValueError(f"{json.dumps(row)} is no click in the image")
    return Click(x, y, z, label)


def _images(case: Case) -> dict[str, np.ndarray]:
    return {"ct": case.ct_zyx, "pet": case.pet_zyx}


def _digest(array: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()


def _part(parts: Path, name: str) -> Path:
    """Where a part is; ValueError where the name leads elsewhere."""
    if Path(name).name != name:
        raise ValueError(f"{json.dumps(name)} is no name of a part")
    return parts / name


def _read_images(about: Mapping[str, Any], geometry: Geometry, parts: Path, clicks: tuple[Click, ...]) -> Case:
    files, name = about["files"], str(about["name"])
    if not files:
        raise CaseError(f"{parts.parent}: holds no images, expected the case to be given with the saved session")
    if Path(name).name != name:
        raise ValueError(f"{json.dumps(name)} is no name of a case")
    ct, pet = (array_from_image(read_image(_part(parts, files[image]))) for image in ("ct", "pet"))
    return Case(name, ct, pet, geometry, clicks)


def _read_start(start: Mapping[str, Any], clicks: Sequence[Click], geometry: Geometry, parts: Path) -> Start:
    mask_zyx = read_mask(_part(parts, start["file"]), geometry) > 0
    if start["file"] != f"start-{_digest(mask_zyx)}.mha":
        raise CaseError(f"{parts / start['file']}: is not the mask that was saved under this name")
    return Start(mask_zyx, tuple(clicks[number] for number in start["clicks"]))


def _require_same_images(case: Case, geometry: Geometry, digests: Mapping[str, str], folder: Path) -> None:
    if case.geometry != geometry:
        raise CaseError(f"{folder}: was saved of images on another grid than those of the case {case.name!r}")
    for name, image in _images(case).items():
        if _digest(image) != digests[name]:
            raise CaseError(f"{folder}: was saved of another {name.upper()} than that of the case {case.name!r}")


def _require_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CaseError(f"{folder}: is a file, expected a folder or nothing there")
    names = {entry.name for entry in folder.iterdir() if not entry.name.endswith(f".{SESSION_FILE}")}
    if SESSION_FILE in names and read_json_object(folder / SESSION_FILE, CaseError).get("program") != PROGRAM:
        raise CaseError(f"{folder / SESSION_FILE}: is not that of a saved session of LesionClick, and is not replaced")
    others = sorted(names - {SESSION_FILE, PARTS_FOLDER})
    if others:
        raise CaseError(f"{folder}: holds {others[0]!r}, expected a new folder or that of a saved session")


def _remove_others(folder: Path, needed: set[str]) -> None:
    """Removes parts that are not needed, and what a process left that was killed while it saved."""
    left = list(folder.glob(f".*.{SESSION_FILE}"))
    if (folder / PARTS_FOLDER).is_dir():
        left += [path for path in (folder / PARTS_FOLDER).iterdir() if path.name not in needed]
    for path in left:
        with contextlib.suppress(OSError):
            path.unlink()
