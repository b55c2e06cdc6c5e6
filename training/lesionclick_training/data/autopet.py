"""Converter of the autoPET FDG + PSMA release to a dataset with labels of two channels, lesions and organs.

The release has nnU-Net's layout already:

    imagesTr/<case>_0000.nii.gz   CT, HU
    imagesTr/<case>_0001.nii.gz   PET, SUV, on the CT's grid
    labelsTr/<case>.nii.gz        0 and 1, on that grid
    dataset.json, splits_final.json

Case names start with fdg_ or psma_ and may hold blanks. The official clicks are files <case>_clicks.json in a folder or
a zip, in either format of `case.clicks`.
"""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk

from lesionclick.case.clicks import Click, read_clicks, write_clicks
from lesionclick.case.dataset import CLICKS_ENDING, CLICKS_FOLDER, CT_SUFFIX, FILE_ENDING, PET_SUFFIX
from lesionclick.case.geometry import Geometry, require_same_grid
from lesionclick.case.images import read_geometry, read_label
from lesionclick.errors import CaseError
from lesionclick.files import read_json_object
from lesionclick.log import Progress
from lesionclick.model.files import DATASET_FILE
from lesionclick_training.data.nnunet_layout import adding_cases, stack_label, write_label
from lesionclick_training.data.organs import OrganSource, find_organ_labels, read_organs, warn_of_missing_organs
from lesionclick_training.data.splits import SPLITS_FILE, read_splits, write_splits

TRACER_PREFIXES = ("fdg_", "psma_")


def convert_autopet(
    release: Path,
    dataset: Path,
    clicks: Path | None = None,
    organs: Path | None = None,
    organ_source: OrganSource = OrganSource.OURS,
    copy: bool = False,
) -> list[str]:
    """Checks the whole release, then makes a dataset of it.

    Args:
        release: the folder with imagesTr, labelsTr, dataset.json and, where there is one, splits_final.json, which is
            carried over.
        dataset: the folder DatasetXXX_Name to make.
        clicks: a folder or a zip with <case>_clicks.json for every case; they go to the dataset's folder `clicks`.
        organs: a folder with organ labels <case>.nii.gz; of a case without one no organ is known, and a warning says
            how many these are.
        organ_source: who made them.
        copy: copies the images; otherwise symbolic links point to the release's.

    Returns:
        The names of the cases.

    Raises:
        CaseError: the release, the clicks or the organs are incomplete or contradict themselves, or the dataset exists;
            nothing is left of the dataset then.
    """
    if dataset.exists():
        raise CaseError(f"{dataset}: exists already, expected the name of a dataset to make")
    _check_dataset_json(release / DATASET_FILE)
    names = _case_names(release)
    grids = _check_all_grids(release, names)
    splits = read_splits(release / SPLITS_FILE, names) if (release / SPLITS_FILE).exists() else None
    clicks_of_case = {} if clicks is None else _read_all_clicks(clicks, grids)
    organ_paths = find_organ_labels(organs, names)
    with adding_cases(dataset) as staged, Progress("writing cases", len(names), "cases") as progress:
        for name in names:
            _place_images(release, name, staged, copy)
            lesion = read_label(release / "labelsTr" / f"{name}{FILE_ENDING}", 1)
            organ = read_organs(organ_paths[name], lesion, organ_source) if name in organ_paths else None
            label = stack_label(sitk.GetArrayViewFromImage(lesion), organ)
            write_label(staged / "labelsTr" / f"{name}{FILE_ENDING}", label, lesion)
            progress.update()
        for name, points in clicks_of_case.items():
            (staged / CLICKS_FOLDER).mkdir(exist_ok=True)
            write_clicks(points, staged / CLICKS_FOLDER / f"{name}{CLICKS_ENDING}")
        if splits is not None:
            write_splits(staged, splits)
    warn_of_missing_organs(len(names) - len(organ_paths), len(names))
    return names


def _check_dataset_json(path: Path) -> None:
    content = read_json_object(path, CaseError)
    if content.get("file_ending") != FILE_ENDING:
        raise CaseError(f"{path}: 'file_ending' is {content.get('file_ending')!r}, expected {FILE_ENDING!r}")
    channels = content.get("channel_names")
    if not isinstance(channels, dict) or sorted(channels) != ["0", "1"]:
        raise CaseError(f"{path}: 'channel_names' is {channels!r}, expected two channels, 0 (CT) and 1 (PET)")
    labels = content.get("labels")
    if not isinstance(labels, dict) or sorted(map(str, labels.values())) != ["0", "1"]:
        raise CaseError(f"{path}: 'labels' is {labels!r}, expected background 0 and one lesion label 1")


def _case_names(release: Path) -> list[str]:
    """Names of the cases, sorted; every one has its label, CT and PET, and there is nothing else."""
    labeled = {path.name.removesuffix(FILE_ENDING) for path in _images_in(release / "labelsTr")}
    if not labeled:
        raise CaseError(f"{release / 'labelsTr'}: holds no case, expected <case>{FILE_ENDING}")
    for name in sorted(labeled):
        if not name.startswith(TRACER_PREFIXES):
            raise CaseError(f"{release / 'labelsTr'}: the case {name} starts neither with fdg_ nor with psma_")
    images = {path.name for path in _images_in(release / "imagesTr")}
    expected = {f"{name}{suffix}{FILE_ENDING}" for name in labeled for suffix in (CT_SUFFIX, PET_SUFFIX)}
    for missing in sorted(expected - images):
        kind = "CT" if missing.endswith(f"{CT_SUFFIX}{FILE_ENDING}") else "PET"
        raise CaseError(f"{release / 'imagesTr' / missing}: the {kind} of a labeled case is missing")
    for surplus in sorted(images - expected):
        raise CaseError(f"{release / 'imagesTr' / surplus}: is neither the CT nor the PET of a labeled case")
    return sorted(labeled)


def _images_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise CaseError(f"{folder}: the folder is missing")
    found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in found:
        if not path.name.endswith(FILE_ENDING):
            raise CaseError(f"{path}: its name does not end in {FILE_ENDING}")
    return found


def _check_all_grids(release: Path, names: Sequence[str]) -> dict[str, Geometry]:
    """The grids of all cases, by name."""
    grids = {}
    with Progress("checking grids", len(names), "cases") as progress:
        for name in names:
            grids[name] = _check_grids(release, name)
            progress.update()
    return grids


def _check_grids(release: Path, name: str) -> Geometry:
    """The grid of a case, which CT, PET and label share."""
    ct = release / "imagesTr" / f"{name}{CT_SUFFIX}{FILE_ENDING}"
    grid = read_geometry(ct)
    for kind, path in (
        ("PET", release / "imagesTr" / f"{name}{PET_SUFFIX}{FILE_ENDING}"),
        ("label", release / "labelsTr" / f"{name}{FILE_ENDING}"),
    ):
        require_same_grid(grid, read_geometry(path), ("CT", kind), (ct, path))
    return grid


def _read_all_clicks(source: Path, grids: Mapping[str, Geometry]) -> dict[str, tuple[Click, ...]]:
    """The official clicks of all cases, by name, which lie inside the cases' grids."""
    with _click_folder(source) as folder:
        return {name: read_clicks(folder / f"{name}{CLICKS_ENDING}", grid.shape_zyx) for name, grid in grids.items()}


@contextlib.contextmanager
def _click_folder(source: Path) -> Iterator[Path]:
    """The folder itself, or what a zip holds, at whatever depth there, for as long as the block runs."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / source.name  # so that messages about a file of the zip name the zip
        folder.mkdir()
        try:
            with zipfile.ZipFile(source) as archive:
                members: dict[str, str] = {}
                for member in archive.namelist():
                    if member.endswith(CLICKS_ENDING):
                        name = Path(member).name
                        if name in members:
                            raise CaseError(
                                f"{source}: holds both {members[name]} and {member}, expected one file a case"
                            )
                        members[name] = member
                        (folder / name).write_bytes(archive.read(member))
        except (OSError, zipfile.BadZipFile) as error:
            raise CaseError(f"{source}: neither a folder nor a zip that can be read: {error}") from error
        yield folder


def _place_images(release: Path, name: str, staged: Path, copy: bool) -> None:
    (staged / "imagesTr").mkdir(exist_ok=True)
    for suffix in (CT_SUFFIX, PET_SUFFIX):
        source = release / "imagesTr" / f"{name}{suffix}{FILE_ENDING}"
        target = staged / "imagesTr" / source.name
        if copy:
            shutil.copyfile(source, target)
        else:
            target.symlink_to(source.resolve())
