"""Projections of the PET, of maximum intensity, from the front and the side, with lesions in color and numbered.

A lesion has the same number and color in every picture and in the table beside it.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lesionclick.case.case import Case
from lesionclick.report.orientation import Orientation

SUV_WINDOW = (0.0, 8.0)  # g/ml, from white to black

# Okabe and Ito, Color Universal Design: told apart by color-blind readers too; their black and yellow left out
COLORS = ((213, 94, 0), (0, 114, 178), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))

OPACITY = 0.7

PIXEL_MM = 2.0

MOST_NUMBERS = 40
"""Lesions, the first in the table, whose number is written beside them; more would hide the picture."""


@dataclass(frozen=True, eq=False)
class Upright:
    """PET and lesions with their axes along the body's, as far as the case's directions are.

    Attributes:
        pet: SUV; from head to feet, from front to back, from the patient's right to the left.
        numbers: 0 outside and each lesion's number inside.
        spacing: mm, in that order.
    """

    pet: np.ndarray
    numbers: np.ndarray
    spacing: tuple[float, ...]

    @classmethod
    def of(cls, case: Case, numbers_zyx: np.ndarray) -> "Upright":
        """A case with its lesions, turned and mirrored, not resampled; views, not copies."""
        orientation = Orientation.of(case.geometry)
        pet, numbers = orientation.turn(case.pet_zyx), orientation.turn(numbers_zyx)
        return cls(pet, numbers, orientation.spacing(case.geometry))


def project_front(case: Case, numbers_zyx: np.ndarray) -> Image.Image:
    """The projection from the front: head up, the patient's right on the left.

    Args:
        case: its PET is drawn.
        numbers_zyx: 0 outside of lesions and each lesion's number inside, on the case's grid.

    Returns:
        An RGB picture with pixels of PIXEL_MM.
    """
    return _project(Upright.of(case, numbers_zyx), depth_axis=1)


def project_side(case: Case, numbers_zyx: np.ndarray) -> Image.Image:
    """The projection from the side: head up, the patient's front on the left; else as `project_front`."""
    return _project(Upright.of(case, numbers_zyx), depth_axis=2)


def _project(upright: Upright, depth_axis: int) -> Image.Image:
    uptake, numbers = _cast(upright.pet, upright.numbers, depth_axis)
    across = upright.spacing[3 - depth_axis]
    sides = (upright.spacing[0], across)
    size = tuple(max(1, round(count * mm / PIXEL_MM)) for count, mm in zip(uptake.shape, sides, strict=True))
    smooth = _resize(uptake.astype(np.float32), size, Image.Resampling.BILINEAR)
    picture = colored(smooth, _resize(numbers, size, Image.Resampling.NEAREST))
    image = Image.fromarray(picture)
    _write_numbers(image, numbers, size)
    return image


def _cast(pet: np.ndarray, numbers: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The highest uptake along an axis, and the lesion with the highest uptake there, 0 for none; both 2D."""
    within = np.where(numbers > 0, pet, -np.inf)
    hottest = np.expand_dims(within.argmax(axis=axis), axis)
    return pet.max(axis=axis), np.take_along_axis(numbers, hottest, axis).squeeze(axis).astype(np.int32)


def _resize(image: np.ndarray, size: tuple[int, ...], method: Image.Resampling) -> np.ndarray:
    """An image of rows and columns in another number of these."""
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), method))


def colored(uptake: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """A projection in inverted gray, lesions in color.

    Args:
        uptake: SUV, rows and columns.
        numbers: 0 outside of lesions and each lesion's number inside, of that shape.

    Returns:
        uint8 of shape (rows, columns, 3).
    """
    low, high = SUV_WINDOW
    gray = 255 * (1 - np.clip((uptake - low) / (high - low), 0, 1))
    picture = np.repeat(gray[..., None], 3, axis=2)
    inside = numbers > 0
    palette = np.array(COLORS)[(numbers[inside] - 1) % len(COLORS)]
    picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * palette
    return picture.round().astype(np.uint8)


def color_of(number: int) -> tuple[int, int, int]:
    """The color of a lesion, red, green and blue up to 255; after some lesions colors come again."""
    return COLORS[(int(number) - 1) % len(COLORS)]


def _write_numbers(image: Image.Image, numbers: np.ndarray, size: tuple[int, ...]) -> None:
    """Writes each lesion's number to the right of where it is seen."""
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=13)
    for number in np.unique(numbers[numbers > 0])[:MOST_NUMBERS].tolist():
        rows, columns = np.nonzero(numbers == number)
        y = (rows.mean() + 0.5) * size[0] / numbers.shape[0]
        x = (columns.max() + 1) * size[1] / numbers.shape[1] + 2
        left, top, right, bottom = draw.textbbox((0, 0), str(number), font=font)
        x = min(x, image.width - (right - left) - 1)
        y = min(max(0.0, y - (top + bottom) / 2), image.height - bottom)
        draw.text((x, y), str(number), font=font, fill="black", stroke_width=2, stroke_fill="white")
