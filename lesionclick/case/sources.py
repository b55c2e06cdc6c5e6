"""Sources of a case: the files of CT, PET and clicks found in a folder, whichever of the public layouts it has.

<folder>/images/ct/<any>  images/pet/<any>  [lesion-clicks.json]    Grand Challenge
<folder>/<case>_0000.nii.gz  <case>_0001.nii.gz                     nnU-Net
<folder>/CTres.nii.gz  SUV.nii.gz  [CT.nii.gz  PET.nii.gz  ...]     a study of the autoPET release
<folder>/<any>_CT.<format>  <any>_PET.<format>                      names that say which is which
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lesionclick.case.case import CLICKS_FILE, CT_FOLDER, PET_FOLDER, only_file
from lesionclick.case.dataset import CT_SUFFIX, PET_SUFFIX
from lesionclick.case.headers import ENDINGS
from lesionclick.errors import CaseError

MAX_DEPTH = 3
"""Folders that are looked into below the given one: a release has <patient>/<study>/, a zip often one more."""

CT_NAMES, PET_NAMES = ("ctres", "ct"), ("suv", "pet", "pt")
"""Words of file names that say what an image is, those first that are taken first: the autoPET release has the CT on
the PET's grid (CTres) beside the CT, and the SUV beside the PET in Bq/ml."""

MASK_NAMES = {"seg", "mask", "label", "labels", "truth", "lesion", "lesions", "segmentation", "ttb"}
"""Words of file names that say that an image is neither."""


@dataclass(frozen=True)
class ImagePair:
    """The files of a case.

    Attributes:
        name: the case's.
        ct: the image to take as CT, HU.
        pet: the image to take as PET, SUV.
        clicks: the clicks that lie beside them; None where there are none.
        layout: what the folder is, in a few words.
        passed_over: images that could also be CT or PET and are not taken.
    """

    name: str
    ct: Path
    pet: Path
    clicks: Path | None
    layout: str
    passed_over: tuple[Path, ...] = ()

    def describe(self, base: Path | None = None) -> str:
        """What was found and taken, in one line; files are named as seen from `base`, where one is given."""
        ct, pet = (path if base is None else path.relative_to(base) for path in (self.ct, self.pet))
        text = f"{self.layout}, CT {ct}, PET (SUV) {pet}"
        if self.passed_over:
            text += f" (passed over: {', '.join(path.name for path in self.passed_over)})"
        return text


def given_pair(ct: Path, pet: Path) -> ImagePair:
    """Two files that the user named as CT and PET.

    Raises:
        CaseError: a file is missing, is no image with a place in the world, or both are the same.
    """
    for kind, path in (("CT", ct), ("PET", pet)):
        if path.is_dir():
            raise CaseError(
                f"{path}: the {kind} is a folder, expected an image file (DICOM: give the study's folder alone)"
            )
        if not path.is_file():
            raise CaseError(f"{path}: the {kind} is missing, expected an image file")
        if not _stem_of(path):
            raise CaseError(
                f"{path}: the {kind} is in no format that says where voxels lie in the world, expected one of "
                f"{', '.join(ENDINGS)}"
            )
    if ct.resolve() == pet.resolve():
        raise CaseError(f"{ct}: is given both as CT and as PET, expected two files")
    return ImagePair(_stem_of(ct), ct, pet, None, "two files")


def find_images(folder: Path, full_ct: bool = False) -> ImagePair | None:
    """Finds the files of the one case of a folder and its subfolders; what they hold is not looked at.

    Args:
        folder: where to look; subfolders are looked into where the folders above them hold no case.
        full_ct: whether to take the CT on its own grid (CT.nii.gz) where there is also one on the PET's (CTres.nii.gz).

    Returns:
        None where there is nothing that looks like a case: it may be DICOM.

    Raises:
        CaseError: there are several cases, a CT without a PET or the other way round, or several images that can be
            the CT or the PET.
    """
    found = find_pairs(folder, full_ct)
    if len(found) > 1:
        listed = ", ".join(str(pair.ct.parent) for pair in found[:4])
        more = ", ..." if len(found) > 4 else ""
        raise CaseError(f"{folder}: holds {len(found)} studies ({listed}{more}), name the folder of one")
    return found[0] if found else None


def find_pairs(folder: Path, full_ct: bool = False) -> list[ImagePair]:
    """Finds the files of all cases of a folder that lie as deep as the first one; see `find_images`.

    Raises:
        CaseError: there is a CT without a PET or the other way round, and no case, or several images of a folder can
            be the CT or the PET.
    """
    if not folder.is_dir():
        raise CaseError(f"{folder}: the folder is missing, expected a study")
    incomplete: list[CaseError] = []
    level = [folder]
    for _ in range(MAX_DEPTH + 1):
        found = []
        for place in level:
            try:
                pair = _pair_in(place, full_ct)
            except _IncompleteError as error:
                incomplete.append(CaseError(str(error)))
                continue
            if pair is not None:
                found.append(pair)
        if found:
            return found
        level = [child for place in level for child in _subfolders(place)]
    if incomplete:
        raise incomplete[0]
    return []


class _IncompleteError(Exception):
    """A folder holds one of CT and PET; what belongs together may still be found further down."""


def _pair_in(folder: Path, full_ct: bool) -> ImagePair | None:
    """The case whose files lie in a folder itself."""
    clicks = folder / CLICKS_FILE if (folder / CLICKS_FILE).is_file() else None
    if (folder / CT_FOLDER).is_dir() or (folder / PET_FOLDER).is_dir():
        ct, pet = only_file(folder / CT_FOLDER), only_file(folder / PET_FOLDER)
        return ImagePair(_stem_of(ct) or ct.name, ct, pet, clicks, "Grand Challenge's layout")
    images = list(_images_in(folder))
    return _nnunet_pair(folder, images, clicks) or _named_pair(folder, images, clicks, full_ct)


def _nnunet_pair(folder: Path, images: Sequence[Path], clicks: Path | None) -> ImagePair | None:
    channels: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in images:
        for suffix in (CT_SUFFIX, PET_SUFFIX):
            if _stem_of(path).endswith(suffix):
                channels[_stem_of(path).removesuffix(suffix)][suffix] = path
    if not channels:
        return None
    if len(channels) > 1:
        listed = ", ".join(sorted(channels)[:4]) + (", ..." if len(channels) > 4 else "")
        raise CaseError(f"{folder}: holds {len(channels)} cases ({listed}), name one by --ct and --pet")
    ((name, files),) = channels.items()
    for suffix, kind in ((CT_SUFFIX, "CT"), (PET_SUFFIX, "PET")):
        if suffix not in files:
            raise _IncompleteError(f"{folder}: {name}{suffix} is missing, which is the {kind} in nnU-Net's layout")
    return ImagePair(name, files[CT_SUFFIX], files[PET_SUFFIX], clicks, "nnU-Net's layout")


def _named_pair(folder: Path, images: Sequence[Path], clicks: Path | None, full_ct: bool) -> ImagePair | None:
    """A case of files that have names such as CT.nii.gz and SUV.nii.gz, or p7_ct.nrrd and p7_pet.nrrd."""
    ct_images, pet_images = _named(images, CT_NAMES[::-1] if full_ct else CT_NAMES), _named(images, PET_NAMES)
    if not ct_images and not pet_images:
        return None
    if not ct_images or not pet_images:
        missing, found = ("CT", pet_images) if not ct_images else ("PET", ct_images)
        names = ", ".join(path.name for path in next(iter(found.values())))
        raise _IncompleteError(f"{folder}: holds {names} and no image whose name says that it is the {missing}")
    taken = []
    for kind, named in (("CT", ct_images), ("PET", pet_images)):
        first = next(iter(named.values()))
        if len(first) > 1:
            names = ", ".join(path.name for path in first[:4]) + (", ..." if len(first) > 4 else "")
            raise CaseError(f"{folder}: {len(first)} images can be the {kind} ({names}), name one by --ct and --pet")
        taken.append(first[0])
    others = [path for named in (ct_images, pet_images) for paths in named.values() for path in paths]
    passed_over = tuple(sorted(path for path in others if path not in taken))
    return ImagePair(folder.resolve().name, taken[0], taken[1], clicks, "named images", passed_over)


def _named(images: Sequence[Path], names: Sequence[str]) -> dict[str, list[Path]]:
    """Images by the word of their name that says what they are, in the order of `names`; those without are left out."""
    found = {name: [path for path in images if _word_of(path) == name] for name in names}
    return {name: paths for name, paths in found.items() if paths}


def _word_of(path: Path) -> str | None:
    """The last word of a file name that says whether the image is a CT or a PET; None for masks and others."""
    words = [word for word in re.split(r"[^a-z]+", _stem_of(path).lower()) if word]
    if MASK_NAMES & set(words):
        return None
    return next((word for word in reversed(words) if word in (*CT_NAMES, *PET_NAMES)), None)


def _images_in(folder: Path) -> Iterator[Path]:
    """Images of a folder by name; of a format in two files the header alone (.img without one may be DICOM)."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    for name in names:
        path = folder / name
        stem = _stem_of(path)
        is_body = name.lower().endswith(".img") or (name.lower().endswith(".img.gz") and f"{stem}.hdr" in names)
        if stem and not is_body:
            yield path


def _subfolders(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _stem_of(path: Path) -> str:
    """A file's name without the ending of its format; empty where it is none of `headers.ENDINGS`."""
    for ending in ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return ""
