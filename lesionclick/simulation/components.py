"""Components of a mask, chosen at random, with the depth of each of their voxels.

Distances are Euclidean, in voxels, to the nearest voxel outside the component; the volume's border counts as none,
unless a component fills the whole volume.
"""

from dataclasses import dataclass
from typing import Literal

import cc3d
import edt
import numpy as np


@dataclass(frozen=True)
class Component:
    """A connected component of a mask.

    Attributes:
        voxels: flat indices of its voxels in the volume, ascending.
        depths: of each of them, in voxels.
    """

    voxels: np.ndarray
    depths: np.ndarray


def choose_components(mask: np.ndarray, most: int, generator: np.random.Generator) -> list[Component]:
    """At most so many components of a mask (26 neighbors), chosen and put in order at random.

    Args:
        mask: bool, three axes.
        most: how many, 0 or more.
        generator: what every random choice comes from.
    """
    if not most:
        return []
    labels, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26, return_N=True)
    chosen = generator.permutation(count)[:most] + 1
    voxels = np.flatnonzero(mask)
    label_of_voxel = labels.ravel()[voxels]
    return [measure_depths(voxels[label_of_voxel == label], mask.shape) for label in chosen]


def largest_component(mask: np.ndarray, connectivity: Literal[6, 18, 26]) -> np.ndarray:
    """Flat indices of the voxels of a mask's largest component, ascending; of equally large ones the first.

    Args:
        mask: bool, three axes.
        connectivity: 6, 18 or 26 neighbors.
    """
    if not mask.any():
        return np.zeros(0, dtype=np.int64)
    labels = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=connectivity)
    voxels: np.ndarray = np.flatnonzero(labels == np.bincount(labels[mask]).argmax())
    return voxels


def measure_depths(voxels: np.ndarray, shape: tuple[int, ...]) -> Component:
    """A component with the depths of its voxels, which are flat indices (at least one) in a volume of that shape."""
    # The bounding box and one voxel around it hold all that the depths depend on.
    points = to_zyx(voxels, shape)
    start = np.maximum(points.min(axis=0) - 1, 0)
    stop = np.minimum(points.max(axis=0) + 2, shape)
    inside = tuple((points - start).T)
    box = np.zeros(stop - start, dtype=bool)
    box[inside] = True
    return Component(voxels, edt.edt(box, black_border=bool(box.all()))[inside])


def deepest_voxel(voxels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The voxel of a component that lies deepest inside, int64 (3,): z, y, x; arguments as in `measure_depths`."""
    component = measure_depths(voxels, shape)
    point: np.ndarray = to_zyx(component.voxels[[component.depths.argmax()]], shape)[0]
    return point


def to_zyx(voxels: np.ndarray | list[int], shape: tuple[int, ...]) -> np.ndarray:
    """Flat indices in a volume of that shape as an int64 array of shape (voxels, 3): z, y, x."""
    return np.stack(np.unravel_index(np.asarray(voxels, dtype=np.int64), shape), axis=1)
