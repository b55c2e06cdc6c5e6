"""Orientation of a case: how its arrays are turned for pictures, so that the head is up."""

from dataclasses import dataclass

import numpy as np

from lesionclick.case.geometry import Geometry


@dataclass(frozen=True)
class Orientation:
    """Which axes of a case's arrays run most nearly from head to feet, from front to back and from right to left.

    Attributes:
        axes: those of an array z, y, x, in that order.
        backwards: whether each of them runs the other way.
    """

    axes: tuple[int, ...]
    backwards: tuple[bool, ...]

    @classmethod
    def of(cls, geometry: Geometry) -> "Orientation":
        """That of images with a geometry; where no axis is nearest to one of the body's, axes stay in their order."""
        cosines = np.reshape(geometry.direction, (3, 3))[::-1, ::-1]  # rows and columns z, y, x
        axes = tuple(int(axis) for axis in np.abs(cosines).argmax(axis=1))
        if sorted(axes) != [0, 1, 2]:  # oblique by 45 degrees
            axes = (0, 1, 2)
        rises = [bool(cosines[world, axis] > 0) for world, axis in enumerate(axes)]
        return cls(axes, (rises[0], not rises[1], not rises[2]))  # DICOM's z rises to the head, y to the back, x left

    def turn(self, array_zyx: np.ndarray) -> np.ndarray:
        """A view of an array with its axes in this order."""
        turned: np.ndarray = array_zyx.transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if each else 1) for each in self.backwards)]

    def turn_point(self, point_zyx: tuple[int, int, int], shape_zyx: tuple[int, ...]) -> tuple[int, ...]:
        """Where a voxel of an array of that shape is found in the array turned."""
        return tuple(
            shape_zyx[axis] - 1 - point_zyx[axis] if backwards else point_zyx[axis]
            for axis, backwards in zip(self.axes, self.backwards, strict=True)
        )

    def spacing(self, geometry: Geometry) -> tuple[float, ...]:
        """That of the array turned, mm."""
        return tuple(geometry.spacing_zyx[axis] for axis in self.axes)
