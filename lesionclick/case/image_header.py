"""Header of an image file: what it says of the voxels and where they lie, and the bounds of what is taken at all."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lesionclick.errors import CaseError

MAX_HEADER_BYTES = 1 << 20
"""Of a header in text; one that a program wrote has a few hundred, with all of a DICOM header some ten thousand."""

MIN_SPACING, MAX_SPACING = 0.1, 50.0
"""Of a voxel's side, mm. Other values are meters or micrometers taken for mm, or no image of a body."""

MAX_EXTENT = 5000.0
"""Of an image along an axis, mm: no scanner has a field of view of half that."""

MAX_ORIGIN = 1e6
"""Of a coordinate of the first voxel, mm."""

Compression = Literal["none", "zlib", "gzip"]


@dataclass(frozen=True)
class ImageHeader:
    """What a header says, as far as it decides how voxels are read; everything in the order x, y, z.

    Attributes:
        path: of the header.
        library: name of SimpleITK's reader for the format, which none but this one gets to see the file.
        size: voxels, three axes or, where they were allowed, four.
        spacing: mm, of the first three axes.
        number_format: of a voxel in the file, with its byte order.
        data: the file that holds the voxels: the same one, or one beside it.
        start: bytes before the voxels: in that file, or in what it unpacks to where all of it is compressed.
        compression: of the voxels.
        whole_file: whether all of `data` is compressed, header included, as a .nii.gz is.
        scaled: whether the values are other numbers than the stored ones.
    """

    path: Path
    library: str
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    number_format: np.dtype[np.generic]
    data: Path
    start: int
    compression: Compression = "none"
    whole_file: bool = False
    scaled: bool = False

    @property
    def voxel_bytes(self) -> int:
        """Of all voxels, unpacked."""
        return math.prod(self.size) * self.number_format.itemsize

    @property
    def unpacked_bytes(self) -> int:
        """What the compressed part of the file unpacks to, or what an uncompressed file has to hold."""
        return self.voxel_bytes + (0 if self.compression != "none" and not self.whole_file else self.start)

    def require_room_for_voxels(self) -> None:
        """Raises CaseError where a file without compression holds more or fewer bytes than its header says."""
        if self.compression != "none":
            return
        held = self.data.stat().st_size
        if held != self.unpacked_bytes:
            raise CaseError(
                f"{self.path}: its header says {in_words(self.size)} voxels of {self.number_format.itemsize} bytes"
                f" ({self.voxel_bytes} bytes), but {self.data.name} holds {max(0, held - self.start)} bytes of voxels"
            )


def in_words(values: Iterable[float]) -> str:
    """Numbers of axes for a sentence, "400 x 400 x 326"."""
    return " x ".join(f"{value:.7g}" if isinstance(value, float) else str(value) for value in values)


def is_neighbor(path: Path, name: str) -> bool:
    """Whether a name in a header is that of another file beside it, and no path or pattern."""
    return not re.search(r"[/\\%\x00-\x1f]", name) and name not in ("", ".", "..", path.name)


def require_size(path: Path, size: Sequence[int], allow_4d: bool) -> None:
    """Raises CaseError where an image has another number of axes than three (four, where allowed), or an empty one."""
    if len(size) not in ((3, 4) if allow_4d else (3,)):
        raise CaseError(f"{path}: is {len(size)}D ({in_words(size)}), expected a 3D image with one number a voxel")
    if min(size) < 1:
        raise CaseError(f"{path}: has {in_words(size)} voxels, expected at least one along each axis")


def require_spacing(path: Path, spacing: Sequence[float], size: Sequence[int]) -> None:
    """Raises CaseError where voxels are too small or too large for mm, or the image is larger than any scanner's."""
    if not all(MIN_SPACING <= length <= MAX_SPACING for length in spacing[:3]):
        raise CaseError(
            f"{path}: has voxels of {in_words(map(float, spacing[:3]))} mm, expected {MIN_SPACING} to {MAX_SPACING:g}"
            " mm along each axis"
        )
    extent = [length * count for length, count in zip(spacing[:3], size[:3], strict=True)]
    if max(extent) > MAX_EXTENT:
        raise CaseError(
            f"{path}: {in_words(size[:3])} voxels of {in_words(map(float, spacing[:3]))} mm are"
            f" {max(extent) / 1000:.3g} m long, expected at most {MAX_EXTENT / 1000:g} m along each axis"
        )
