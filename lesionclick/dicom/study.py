"""Study of a patient, opened whatever its form: DICOM, images in a public layout or two files; a folder or a zip of it.

pydicom and highdicom are loaded for DICOM alone: other studies can be read without the extra `dicom`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lesionclick.case.archives import require_zip, unpacked
from lesionclick.case.case import Case
from lesionclick.case.geometry import Geometry, is_same_grid
from lesionclick.case.joining import join, read_pair
from lesionclick.case.markups import read_click_files
from lesionclick.case.results import OutputFormat
from lesionclick.case.sources import ImagePair, find_images, given_pair
from lesionclick.errors import CaseError

if TYPE_CHECKING:
    from lesionclick.dicom.suv import SuvVolume
    from lesionclick.dicom.suv_values import SuvOverrides

NO_STUDY = (
    "holds neither DICOM nor a CT and a PET that their names tell apart, expected a study (or two files by --ct and "
    "--pet)"
)


@dataclass(frozen=True)
class StudyChoices:
    """What is to be taken of a study where it is not plain.

    Attributes:
        ct_series: UID or number of the DICOM series to take as CT; None to choose.
        pet_series: likewise as PET.
        suv: what to take for SUV in place of what the DICOM files say; None for what they say.
        clicks: files of clicks to go by, see `read_click_files`; where none is named, those that lie beside the images.
        takes_clicks: whether to go by clicks at all.
        full_ct: whether to take the CT on its own grid where there is also one on the PET's.
    """

    ct_series: str | None = None
    pet_series: str | None = None
    suv: "SuvOverrides | None" = None
    clicks: tuple[Path, ...] = ()
    takes_clicks: bool = True
    full_ct: bool = False


@dataclass(frozen=True, eq=False)
class Study:
    """A study that has been read.

    Attributes:
        case: CT, PET (SUV) and clicks on the PET's grid.
        ct_geometry: the grid that the CT had.
        found: what was found and taken, in one line.
        warnings: what a reader should know, a sentence each.
        pet: the PET's series, to which DICOM objects refer; None where the study is not DICOM.
    """

    case: Case
    ct_geometry: Geometry
    found: str
    warnings: tuple[str, ...] = ()
    pet: "SuvVolume | None" = None

    @property
    def suv(self) -> dict[str, Any] | None:
        """How the PET became SUV, ready for JSON; None where it was SUV already, as images are."""
        return None if self.pet is None else self.pet.suv.for_json()

    def formats(self, asked: Sequence[OutputFormat] | None) -> tuple[OutputFormat, ...]:
        """The formats to write: those asked for, or where none are, nii.gz and for a DICOM study also dicom-seg.

        Raises:
            CaseError: a DICOM object is asked for and there is no series that it could refer to, or the PET's header
                lacks what the object has to say.
        """
        if asked is None:
            asked = (OutputFormat.nifti,) if self.pet is None else (OutputFormat.nifti, OutputFormat.dicom_seg)
        for wanted in asked:
            if wanted.is_dicom and self.pet is None:
                raise CaseError(f"{self.case.name}: was not read from DICOM, so that no {wanted} can refer to it")
        if self.pet is not None and any(wanted.is_dicom for wanted in asked):
            from lesionclick.dicom.write_objects import require_source

            require_source(self.pet)
        return tuple(asked)


def open_study(path: Path, choices: StudyChoices = StudyChoices()) -> Study:
    """Reads CT, PET and clicks of a folder or zip, in any layout of `find_images`, or else as DICOM.

    Args:
        path: the folder or zip of one study, at any depth in it.
        choices: where there is something to choose.

    Raises:
        CaseError: there is no study, there are several, or it is ambiguous, damaged or contradicts itself.
    """
    with unpacked(path) as folder:
        pair = find_images(folder, choices.full_ct)
        if pair is not None:
            return _open_pair(pair, choices, folder)
        return _with_clicks(_open_dicom(folder, choices), choices.clicks if choices.takes_clicks else ())


def name_study(path: Path) -> str:
    """The name of what `open_study` will be given, by a quick look that reads no image and at most one DICOM header.

    Raises:
        CaseError: there is no folder and no zip, or nothing in the folder is an image.
    """
    if not path.is_dir():
        require_zip(path)
        return path.name
    pair = find_images(path)
    if pair is not None:
        return pair.name
    if not any(map(_may_be_dicom, path.rglob("*"))):
        raise CaseError(f"{path}: {NO_STUDY}")
    return path.name


def open_files(ct: Path, pet: Path, choices: StudyChoices = StudyChoices()) -> Study:
    """Reads CT (HU) and PET (SUV) from two files in any format of SimpleITK that says where voxels lie in the world.

    Raises:
        CaseError: a file is missing or damaged, or the two do not belong together.
    """
    return _open_pair(given_pair(ct, pet), choices)


def _open_pair(pair: ImagePair, choices: StudyChoices, base: Path | None = None) -> Study:
    for name, choice in (("series", choices.ct_series or choices.pet_series), ("values for SUV", choices.suv)):
        if choice is not None:
            raise CaseError(f"{pair.pet}: is no DICOM, expected that no {name} are given for it")
    joined = read_pair(pair)
    warnings = joined.warnings
    beside = () if pair.clicks is None or choices.clicks else (pair.clicks,)
    if beside and choices.takes_clicks and not is_same_grid(joined.ct_geometry, joined.case.geometry):
        warnings += (f"{pair.clicks}: its clicks are taken for voxels of the PET, whose grid is not that of the CT",)
    study = Study(joined.case, joined.ct_geometry, pair.describe(base), warnings)
    return _with_clicks(study, (choices.clicks or beside) if choices.takes_clicks else ())


def _open_dicom(folder: Path, choices: StudyChoices) -> Study:
    try:
        from lesionclick.dicom.series import choose_series, count_damaged, find_series
        from lesionclick.dicom.suv import AS_STORED, read_suv
        from lesionclick.dicom.volume import read_ct, require_frame_of_reference
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("pydicom", "highdicom"):
            raise
        raise CaseError(
            f"{folder}: holds no images in a layout that is known, and DICOM is not looked for without the package "
            f"{package}: pip install 'lesionclick[dicom]'"
        ) from error
    found = find_series(folder)
    if not found:
        raise CaseError(f"{folder}: {NO_STUDY}")
    pet_series = choose_series(folder, found, "PT", choices.pet_series)
    pet = read_suv(pet_series, choices.suv or AS_STORED)
    ct_series = choose_series(folder, found, "CT", choices.ct_series, pet.frame_of_reference)
    ct = read_ct(ct_series)
    require_frame_of_reference(ct.slices[0], pet)
    joined = join(_name_of(folder), ct.image, pet.image, (ct_series.paths[0].parent, pet_series.paths[0].parent))
    found_line = f"DICOM, CT ({ct_series}), PET ({pet_series})"
    damaged = tuple(dict.fromkeys((*pet_series.damaged, *ct_series.damaged)))
    left_out = (count_damaged(damaged),) if damaged else ()
    warnings = (*left_out, *pet.suv.warnings, *joined.warnings)
    return Study(joined.case, joined.ct_geometry, found_line, warnings, pet)


def _may_be_dicom(path: Path) -> bool:
    """Whether a file is DICOM, or says so; any file may be where nothing can tell, without the extra `dicom`."""
    try:
        from lesionclick.dicom.headers import read_image_header
    except ModuleNotFoundError:
        return True
    try:
        return path.is_file() and read_image_header(path) is not None
    except CaseError:
        return True


def _name_of(folder: Path) -> str:
    name = folder.resolve().name
    return name[:-4] if name.lower().endswith(".zip") else name


def _with_clicks(study: Study, paths: Sequence[Path]) -> Study:
    """The study with the clicks of these files."""
    if not paths:
        return study
    clicks = read_click_files(paths, study.case.geometry)
    count = "1 click" if len(clicks) == 1 else f"{len(clicks)} clicks"
    found = f"{study.found}, {count} of {', '.join(path.name for path in paths)}"
    return replace(study, case=replace(study.case, clicks=clicks), found=found)
