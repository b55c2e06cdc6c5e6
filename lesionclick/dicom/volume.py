"""Volume of a CT or PET series: its slices checked, stacked by highdicom, and rescaled to physical values.

highdicom sorts the slices, finds their distance, directions and origin, and stacks their pixels. Two things stay here.
Which slice is to blame is found by `_in_order`, for highdicom says only that a series is no volume, and its own
tolerances do not fit: a gantry tilted by up to 2.5 degrees passes its test for perpendicular stacking, while slices
2 mm apart whose positions are stored with one decimal may fail it. Each slice is rescaled by `_rescale`, for highdicom
computes in the type of its result, and float64 would hold 2.5 GB for a CT of 600 slices while float32 rounds a PET's
slope before the product.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from lesionclick.case.images import AIR
from lesionclick.dicom.fields import MALFORMED, numbers_of, optional_text, tag_of, text_of
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

UNLIMITED = 1e9
"""As tolerance, more than any series needs; numpy warns of infinity."""


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
    slices: list[Dataset] = []
    for path in series.paths:
        dataset = read_dataset(path)
        slices += split_frames(dataset) if is_enhanced(dataset) else [dataset]
    _align_geometry(slices)
    for item in slices:
        require_pixels(item)
    volume = _along_normal(_stack(slices))
    for item in slices:
        if "PixelData" in item:  # the volume has them now; pydicom's decoded copy goes, too
            del item.PixelData
    slices = _in_order(slices, volume, series.damaged)
    _rescale(volume.array, slices)
    image = image_from_volume(volume)
    # highdicom starts from the slice at the other end, and along rounded directions comes out a little beside the first
    image.SetOrigin(numbers_of(slices[0], "ImagePositionPatient", 3).tolist())
    return SeriesVolume(tuple(slices), image)


def read_ct(series: Series) -> SeriesVolume:
    """Reads a CT series in Hounsfield units; what lies below air, as padding around the field of view, becomes air.

    Raises:
        CaseError: as `read_volume` does.
    """
    ct = read_volume(series)
    return SeriesVolume(ct.slices, sitk.Maximum(ct.image, AIR))


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


def _align_geometry(slices: Sequence[Dataset]) -> None:
    """Checks the fields that all slices have to share, and gives all exactly the first one's values.

    highdicom compares them exactly, and takes the directions as they are: rounded, they are no unit vectors, and
    lengthen what they are multiplied with.
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
    spacing, orientation = first.PixelSpacing, _perpendicular_directions(first)
    for item in slices:
        item.PixelSpacing, item.ImageOrientationPatient = spacing, orientation


def _perpendicular_directions(item: Dataset) -> list[float]:
    """ImageOrientationPatient made exact: the unit vector along a row and, perpendicular to it, that along a column."""
    along_row, along_column = numbers_of(item, "ImageOrientationPatient", 6).reshape(2, 3)
    lengths = np.linalg.norm([along_row, along_column], axis=1)
    if np.abs(lengths - 1).max() > GEOMETRY_TOLERANCE or abs(along_row @ along_column) > GEOMETRY_TOLERANCE:
        raise CaseError(f"{item.filename}: {tag_of('ImageOrientationPatient')} is not two perpendicular unit vectors")
    along_row = along_row / lengths[0]
    along_column = along_column - (along_column @ along_row) * along_row
    return [*along_row.tolist(), *(along_column / np.linalg.norm(along_column)).tolist()]


def require_pixels(item: Dataset) -> None:
    """Decodes a file's pixels, which pydicom keeps for who needs them: highdicom's errors do not name the file.

    Raises:
        CaseError: they are missing or damaged, or compressed in a way that no decoder at hand knows.
    """
    try:
        with damage_as_case_error(item.filename):
            _ = item.pixel_array
    except CaseError as error:
        raise CaseError(f"{item.filename}: its pixels cannot be read: {error.__cause__}") from error


def _stack(slices: Sequence[Dataset]) -> highdicom.Volume:
    """Stored pixels, float32 (exact up to 24 bits); even where the stack is uneven, which `_in_order` finds out."""
    files: dict[tuple[float, ...], str] = {}
    for item in slices:
        other = files.setdefault(tuple(numbers_of(item, "ImagePositionPatient", 3)), item.filename)
        if other != item.filename:
            raise CaseError(
                f"{item.filename}: {tag_of('ImagePositionPatient')} is also that of {other}, expected one slice a place"
            )
    classes = [item.SOPClassUID for item in slices]
    try:
        for item in slices:  # frames are slices now, and highdicom goes by the class
            if is_enhanced(item):
                item.SOPClassUID = CTImageStorage
        return highdicom.get_volume_from_series(
            slices,
            dtype=np.float32,
            apply_real_world_transform=False,
            apply_modality_transform=False,
            apply_presentation_lut=False,
            atol=UNLIMITED,
            perpendicular_tol=UNLIMITED,
        )
    except MALFORMED as error:
        raise CaseError(f"{slices[0].filename}: the slices of its series make no volume: {error}") from error
    finally:
        for item, kind in zip(slices, classes, strict=True):
            item.SOPClassUID = kind


def _in_order(slices: Sequence[Dataset], volume: highdicom.Volume, damaged: Sequence[str]) -> list[Dataset]:
    """The slices in the volume's order, each within `POSITION_TOLERANCE` of its place as seen from the first.

    Args:
        slices: in any order.
        volume: what `_stack` made of them.
        damaged: what is wrong with files beside them that were left out, for the message.

    Raises:
        CaseError: a slice is off its place.
    """
    if volume.spacing[0] < POSITION_TOLERANCE:
        raise CaseError(
            f"{slices[0].filename}: the slices of its series have almost the same {tag_of('ImagePositionPatient')}"
        )
    positions = np.stack([numbers_of(item, "ImagePositionPatient", 3) for item in slices])
    places = volume.map_reference_to_indices(positions)  # index of slice, row, column
    order = np.argsort(places[:, 0])
    lost = f"; {count_damaged(damaged)}" if damaged else ""
    for index, number in enumerate(order):
        off = float(np.linalg.norm((places[number] - places[order[0]] - (index, 0, 0)) * volume.spacing))
        if off > POSITION_TOLERANCE:
            reason = _why_uneven(positions[order], np.array(volume.direction)[:, 0])
            raise CaseError(
                f"{slices[number].filename}: lies {off:.2f} mm off its place in a stack of {len(slices)} slices "
                f"{volume.spacing[0]:.4g} mm apart, expected slices evenly stacked along their normal ({reason}){lost}"
            )
    return [slices[number] for number in order]


def _why_uneven(positions: np.ndarray, normal: np.ndarray) -> str:
    """Why slices in order do not stack along their normal: tilted, if they are even along another line."""
    even = np.linspace(positions[0], positions[-1], len(positions))
    if np.linalg.norm(positions - even, axis=1).max() > POSITION_TOLERANCE:
        return "one may be missing or there twice"
    along = positions[-1] - positions[0]
    degrees = np.degrees(np.arccos(min(1.0, abs(float(along @ normal)) / float(np.linalg.norm(along)))))
    return f"the gantry was tilted by {degrees:.1f} degrees"


def _rescale(stored_zyx: np.ndarray, slices: Sequence[Dataset]) -> None:
    """Pixels times slope plus intercept in place, each slice by its own (a PET's differ) and computed in float64."""
    for plane, item in zip(stored_zyx, slices, strict=True):
        slope, intercept = (numbers_of(item, keyword, 1)[0] for keyword in ("RescaleSlope", "RescaleIntercept"))
        plane[:] = plane.astype(np.float64) * slope + intercept
