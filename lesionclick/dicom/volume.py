"""Volume of a CT or PET series: its slices checked, sorted, stacked, and rescaled to physical values.

highdicom stacks series, too, and two things keep it from doing so here. It says only that a series is no volume, not
which slice is to blame, and its own tolerances do not fit: a gantry tilted by up to 2.5 degrees passes its test for
perpendicular stacking, while slices 2 mm apart whose positions are stored with one decimal may fail it. And it looks up
each slice's kind in tables of the standard, which takes twice as long as all else: 600 slices 10 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from lesionclick.case.images import AIR
from lesionclick.dicom.fields import numbers_of, optional_text, tag_of, text_of
from lesionclick.dicom.multiframe import is_enhanced, split_frames
from lesionclick.dicom.reading import damage_as_case_error, read_dataset
from lesionclick.dicom.series import Series, count_damaged
from lesionclick.errors import CaseError

POSITION_TOLERANCE = 0.1
"""mm by which a slice may lie off its even place; positions are often stored with one decimal."""

GEOMETRY_TOLERANCE = 1e-3
"""By which slices may differ in spacing (mm), and directions from perpendicular unit vectors."""

DIRECTION_TOLERANCE = 2e-3
"""By which slices may differ in a direction's cosine: files differ by 1.2e-3 in public data."""

_SHARED = (
    ("Rows", 1, 0.0),
    ("Columns", 1, 0.0),
    ("PixelSpacing", 2, GEOMETRY_TOLERANCE),
    ("ImageOrientationPatient", 6, DIRECTION_TOLERANCE),
)
"""Fields that the slices of a volume share, how many numbers they have, and by how much these may differ."""


@dataclass(frozen=True)
class SeriesVolume:
    """A CT or PET series as one volume.

    Attributes:
        slices: the files' datasets without their pixels, in order of the image's slices.
        image: float32; pixels times RescaleSlope plus RescaleIntercept, so Hounsfield units or the PET's Units, and
            SUV (g/ml) where `read_suv` made it. Its slices follow each other along the cross product of its x and y
            directions.
    """

    slices: tuple[Dataset, ...]
    image: sitk.Image

    @property
    def uid(self) -> str:
        """SeriesInstanceUID."""
        return text_of(self.slices[0], "SeriesInstanceUID")

    @property
    def frame_of_reference(self) -> str:
        """FrameOfReferenceUID: images that share it share their coordinates."""
        return text_of(self.slices[0], "FrameOfReferenceUID")

    @property
    def slice_spacing(self) -> float:
        """Distance from slice to slice, mm."""
        return float(self.image.GetSpacing()[2])


def read_volume(series: Series) -> SeriesVolume:
    """Reads a series of CT or PET files, single-frame or enhanced multi-frame.

    Raises:
        CaseError: a slice lacks a field of the geometry or differs in it from the others, its pixels or their rescaling
            cannot be read, there are fewer than two slices, or they are not evenly stacked along their normal.
    """
    return _read_volume(series, lowest=None)


def read_ct(series: Series) -> SeriesVolume:
    """Reads a CT series in Hounsfield units; what lies below air, as padding around the field of view, becomes air.

    Raises:
        CaseError: as `read_volume` does.
    """
    return _read_volume(series, lowest=AIR)


def _read_volume(series: Series, lowest: float | None) -> SeriesVolume:
    """`read_volume`; values below the lowest one become it."""
    slices: list[Dataset] = []
    for path in series.paths:
        dataset = read_dataset(path)
        slices += split_frames(dataset) if is_enhanced(dataset) else [dataset]
    directions = _require_one_geometry(slices)
    slices, spacing = _in_order(slices, directions, series.damaged)
    values_zyx = _rescaled(slices)
    if lowest is not None:
        np.maximum(values_zyx, lowest, out=values_zyx)
    image = sitk.GetImageFromArray(values_zyx)
    between_rows, between_columns = numbers_of(slices[0], "PixelSpacing", 2).tolist()
    image.SetSpacing([between_columns, between_rows, spacing])
    image.SetOrigin(numbers_of(slices[0], "ImagePositionPatient", 3).tolist())
    image.SetDirection(directions.T.ravel().tolist())
    return SeriesVolume(tuple(slices), image)


def require_frame_of_reference(header: Dataset, pet: SeriesVolume) -> None:
    """Raises CaseError where a file's coordinates are not those of the PET."""
    found = text_of(header, "FrameOfReferenceUID")
    if found != pet.frame_of_reference:
        raise CaseError(
            f"{header.filename}: {tag_of('FrameOfReferenceUID')} is {found}, not the PET's {pet.frame_of_reference}: "
            "the two were not acquired together"
        )


def image_from_volume(volume: highdicom.Volume) -> sitk.Image:
    """A volume of shape (slices, rows, columns) as an image in the same world (LPS, mm), slices along their normal."""
    volume = _along_normal(volume)
    image = sitk.GetImageFromArray(volume.array)
    # highdicom's axes are slices, rows, columns; SimpleITK's are columns, rows, slices
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.position)
    image.SetDirection(volume.direction[:, ::-1].ravel().tolist())
    return image


def _along_normal(volume: highdicom.Volume) -> highdicom.Volume:
    """A volume whose slices follow each other along the cross product of row and column direction.

    highdicom has them the other way round, which makes its axes (slices, rows, columns) right-handed; so are then
    SimpleITK's (columns, rows, slices).
    """
    return volume.ensure_handedness("LEFT_HANDED", flip_axis=0)


def _require_one_geometry(slices: Sequence[Dataset]) -> np.ndarray:
    """The unit vectors along a row, along a column and along the normal, one a line.

    Raises:
        CaseError: a slice differs from the others in a field of the geometry, or there is only one.
    """
    first = slices[0]
    for item in slices:
        if (optional_text(item, "NumberOfFrames") or "1") != "1":
            raise CaseError(f"{item.filename}: is multi-frame, expected one slice a file")
        if text_of(item, "FrameOfReferenceUID") != text_of(first, "FrameOfReferenceUID"):
            raise CaseError(f"{item.filename}: {tag_of('FrameOfReferenceUID')} differs from that of {first.filename}")
        for keyword, length, tolerance in _SHARED:
            difference = numbers_of(item, keyword, length) - numbers_of(first, keyword, length)
            if np.abs(difference).max() > tolerance:
                raise CaseError(f"{item.filename}: {tag_of(keyword)} differs from that of {first.filename}")
    if len(slices) < 2:
        raise CaseError(f"{first.filename}: is the only slice of its series, expected several")
    if numbers_of(first, "PixelSpacing", 2).min() <= 0:
        raise CaseError(f"{first.filename}: {tag_of('PixelSpacing')} is {first.PixelSpacing}, expected more than 0")
    return _perpendicular_directions(first)


def _perpendicular_directions(item: Dataset) -> np.ndarray:
    """ImageOrientationPatient made exact, and the cross product of its two directions; one a line."""
    along_row, along_column = numbers_of(item, "ImageOrientationPatient", 6).reshape(2, 3)
    lengths = np.linalg.norm([along_row, along_column], axis=1)
    if np.abs(lengths - 1).max() > GEOMETRY_TOLERANCE or abs(along_row @ along_column) > GEOMETRY_TOLERANCE:
        raise CaseError(f"{item.filename}: {tag_of('ImageOrientationPatient')} is not two perpendicular unit vectors")
    along_row = along_row / lengths[0]
    along_column = along_column - (along_column @ along_row) * along_row
    along_column /= np.linalg.norm(along_column)
    return np.array([along_row, along_column, np.cross(along_row, along_column)])


def _in_order(slices: Sequence[Dataset], directions: np.ndarray, damaged: Sequence[str]) -> tuple[list[Dataset], float]:
    """The slices along their normal, each within `POSITION_TOLERANCE` of its place as seen from the first.

    Args:
        slices: in any order.
        directions: what `_require_one_geometry` gives.
        damaged: what is wrong with files beside them that were left out, for the message.

    Returns:
        The slices in order, and the distance (mm) from one to the next.

    Raises:
        CaseError: two slices have one place, or a slice is off its place.
    """
    files: dict[tuple[float, ...], str] = {}
    for item in slices:
        other = files.setdefault(tuple(numbers_of(item, "ImagePositionPatient", 3)), item.filename)
        if other != item.filename:
            raise CaseError(
                f"{item.filename}: {tag_of('ImagePositionPatient')} is also that of {other}, expected one slice a place"
            )
    normal = directions[2]
    positions = np.array(list(files))
    order = np.argsort(positions @ normal)
    positions, slices = positions[order], [slices[number] for number in order]
    spacing = float((positions[-1] - positions[0]) @ normal) / (len(slices) - 1)
    if spacing < POSITION_TOLERANCE:
        raise CaseError(
            f"{slices[0].filename}: the slices of its series have almost the same {tag_of('ImagePositionPatient')} "
            "along their normal"
        )
    places = positions[0] + np.arange(len(slices))[:, None] * spacing * normal
    distances = np.linalg.norm(positions - places, axis=1)
    if distances.max() > POSITION_TOLERANCE:
        index = int(np.argmax(distances > POSITION_TOLERANCE))
        lost = f"; {count_damaged(damaged)}" if damaged else ""
        raise CaseError(
            f"{slices[index].filename}: lies {distances[index]:.2f} mm off its place in a stack of {len(slices)} "
            f"slices {spacing:.4g} mm apart, expected slices evenly stacked along their normal "
            f"({_why_uneven(positions, normal)}){lost}"
        )
    return slices, spacing


def _why_uneven(positions: np.ndarray, normal: np.ndarray) -> str:
    """Why slices in order do not stack along their normal: tilted, if they are even along another line."""
    even = np.linspace(positions[0], positions[-1], len(positions))
    if np.linalg.norm(positions - even, axis=1).max() > POSITION_TOLERANCE:
        return "one may be missing or there twice"
    along = positions[-1] - positions[0]
    degrees = np.degrees(np.arccos(min(1.0, float(along @ normal) / float(np.linalg.norm(along)))))
    return f"the gantry was tilted by {degrees:.1f} degrees"


def _rescaled(slices: Sequence[Dataset]) -> np.ndarray:
    """Pixels times RescaleSlope plus RescaleIntercept, float32 of shape (z, y, x); the slices lose their pixels.

    Each slice has its own slope (a PET's differ), and is computed in float64: float32 would round a slope before the
    product.
    """
    values_zyx = np.empty((len(slices), int(slices[0].Rows), int(slices[0].Columns)), dtype=np.float32)
    for values_yx, item in zip(values_zyx, slices, strict=True):
        slope, intercept = (numbers_of(item, keyword, 1)[0] for keyword in ("RescaleSlope", "RescaleIntercept"))
        require_pixels(item)
        if item.pixel_array.shape != values_yx.shape:
            raise CaseError(
                f"{item.filename}: its pixels cannot be read: their shape is {item.pixel_array.shape}, expected "
                f"{values_yx.shape} of {tag_of('Rows')} and Columns"
            )
        values_yx[:] = item.pixel_array * np.float64(slope) + intercept
        if "PixelData" in item:  # pydicom's decoded copy goes, too
            del item.PixelData
    return values_zyx


def require_pixels(item: Dataset) -> None:
    """Decodes a file's pixels, which pydicom keeps for who needs them.

    Raises:
        CaseError: they are missing or damaged, or compressed in a way that no decoder at hand knows.
    """
    try:
        with damage_as_case_error(item.filename):
            _ = item.pixel_array
    except CaseError as error:
        raise CaseError(f"{item.filename}: its pixels cannot be read: {error.__cause__}") from error
