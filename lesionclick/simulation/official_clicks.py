"""Where a simulated reader clicks: the autoPET/CT IV challenge's scheme, and what other schemes need as well.

A case and a `numpy.random.Generator` give clicks; the same seed gives the same ones. Every function returns voxels in
the order z, y, x, and never the same voxel twice: where a lesion's rim or a region holds too few voxels, there are
fewer clicks than asked. (The challenge's own click files repeat voxels of tiny lesions; a repeated click changes
nothing in what a network sees.)

Distances are Euclidean, in voxels, to the nearest voxel outside the component; the volume's border counts as none,
unless a component fills the whole volume.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cc3d
import edt
import numpy as np

from lesionclick.case.clicks import Click, Label

CHALLENGE_PERCENTILE = 99.75  # of the PET outside of lesions; hotter voxels get background clicks (the challenge)


@dataclass(frozen=True)
class Component:
    """A connected component: flat indices of its voxels in the volume, ascending, and each one's depth in voxels."""

    voxels: np.ndarray
    depths: np.ndarray


Score = Callable[[Component, bool, np.random.Generator], np.ndarray]
"""One value a voxel of a component; the highest is clicked, -inf never. Told if it is the component's first click."""


def challenge_tumor_clicks(
    lesion_zyx: np.ndarray, budget: int, generator: np.random.Generator, offset: int = 0
) -> np.ndarray:
    """Clicks on lesions as the challenge draws them.

    At most `budget` lesions (26 neighbours) are chosen at random. The first click of each is its deepest voxel; while
    budget is left, the same lesions get one more each in turn, at random on their rim.

    Args:
        lesion_zyx: bool, the true lesions.
        budget: the most clicks to draw, 0 or more.
        generator: what every random choice comes from.
        offset: each click is moved at random by up to so many voxels an axis, where that stays within the lesions.

    Returns:
        int64 array of shape (clicks, 3), z, y, x.
    """
    return _challenge_clicks(lesion_zyx, budget, generator, offset)


def challenge_background_clicks(
    pet_zyx: np.ndarray, lesion_zyx: np.ndarray, budget: int, generator: np.random.Generator, offset: int = 0
) -> np.ndarray:
    """Clicks on physiological uptake as the challenge draws them: like those on lesions, in the hottest healthy voxels.

    Args:
        pet_zyx: uptake, 0 where there is no image; any scale.
        lesion_zyx: bool, the true lesions, where no click falls.
        budget: the most clicks to draw, 0 or more.
        generator: what every random choice comes from.
        offset: each click is moved at random by up to so many voxels an axis, where that stays within such voxels.

    Returns:
        int64 array of shape (clicks, 3), z, y, x; all above the 99.75th percentile of the PET outside of lesions.
    """
    healthy = ~lesion_zyx
    if not budget or not healthy.any():
        return to_zyx([], lesion_zyx.shape)
    threshold = np.percentile(pet_zyx[healthy], CHALLENGE_PERCENTILE, overwrite_input=True)
    return _challenge_clicks((pet_zyx > threshold) & healthy & (pet_zyx != 0), budget, generator, offset)


def simulate_official(
    pet_zyx: np.ndarray, lesion_zyx: np.ndarray, seed: int = 42, budget: int = 10
) -> tuple[Click, ...]:
    """Clicks to validate with, for a case that has no official ones: the challenge's scheme without offsets.

    Args:
        pet_zyx: uptake on the image's own grid, 0 where there is no image.
        lesion_zyx: the true lesions, 0 and 1 of any type.
        seed: of the generator; the challenge's is 42.
        budget: the most clicks of each label.

    Returns:
        The tumour clicks, then the background clicks.
    """
    generator = np.random.default_rng(seed)
    lesion_zyx = lesion_zyx > 0
    drawn: tuple[tuple[Label, np.ndarray], ...] = (
        ("tumor", challenge_tumor_clicks(lesion_zyx, budget, generator)),
        ("background", challenge_background_clicks(pet_zyx, lesion_zyx, budget, generator)),
    )
    return tuple(Click(x, y, z, label) for label, points in drawn for z, y, x in points.tolist())


def _challenge_clicks(mask: np.ndarray, budget: int, generator: np.random.Generator, offset: int) -> np.ndarray:
    components = choose_components(mask, budget, generator)
    regions = [np.flatnonzero(mask)] * len(components)
    return click_in_turn(components, regions, mask.shape, budget, _challenge_score, generator, offset)


def _challenge_score(component: Component, is_first: bool, generator: np.random.Generator) -> np.ndarray:
    if is_first:
        return component.depths
    on_rim = component.depths == component.depths.min()
    return np.where(on_rim, generator.random(on_rim.size), -np.inf)


def choose_components(mask: np.ndarray, most: int, generator: np.random.Generator) -> list[Component]:
    """At most so many components of a mask (26 neighbours), chosen and put in order at random."""
    if not most:
        return []
    labels, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26, return_N=True)
    chosen = generator.permutation(count)[:most] + 1
    voxels = np.flatnonzero(mask)
    label_of_voxel = labels.ravel()[voxels]
    return [measure_depths(voxels[label_of_voxel == label], mask.shape) for label in chosen]


def measure_depths(voxels: np.ndarray, shape: tuple[int, ...]) -> Component:
    """A component from its voxels. Its bounding box and one voxel round it hold all that its depths depend on."""
    points = to_zyx(voxels, shape)
    start = np.maximum(points.min(axis=0) - 1, 0)
    stop = np.minimum(points.max(axis=0) + 2, shape)
    inside = tuple((points - start).T)
    box = np.zeros(stop - start, dtype=bool)
    box[inside] = True
    return Component(voxels, edt.edt(box, black_border=bool(box.all()))[inside])


def click_in_turn(
    components: list[Component],
    regions: list[np.ndarray],
    shape: tuple[int, ...],
    budget: int,
    score: Score,
    generator: np.random.Generator,
    offset: int,
) -> np.ndarray:
    """One click a component and round, until the budget is spent or no component has a voxel left to click.

    Args:
        components: who gets clicks, in order.
        regions: for each component, the voxels (flat indices) that its clicks may be moved to.
        shape: the volume's.
        budget: the most clicks in all.
        score: see `Score`.
        generator: what every random choice comes from.
        offset: the most voxels an axis that a click is moved by.

    Returns:
        int64 array of shape (clicks, 3), z, y, x.
    """
    clicks: list[int] = []
    is_first = True
    turns = list(zip(components, regions, strict=True))
    while turns and len(clicks) < budget:
        still_open = []
        for component, region in turns[: budget - len(clicks)]:
            free = np.isin(component.voxels, clicks, invert=True)
            scores = np.where(free, score(component, is_first, generator), -np.inf)
            best = int(np.argmax(scores))
            if scores[best] > -np.inf:
                clicks.append(_move(int(component.voxels[best]), region, shape, clicks, generator, offset))
                still_open.append((component, region))
        turns, is_first = still_open, False
    return to_zyx(clicks, shape)


def _move(
    voxel: int,
    region: np.ndarray,
    shape: tuple[int, ...],
    taken: list[int],
    generator: np.random.Generator,
    offset: int,
) -> int:
    """A voxel moved by up to `offset` an axis; itself where that leaves the region or meets a click."""
    point = np.array(np.unravel_index(voxel, shape)) + generator.integers(-offset, offset, size=3, endpoint=True)
    if np.any(point < 0) or np.any(point >= shape):
        return voxel
    moved = int(np.ravel_multi_index(tuple(point), shape))
    return moved if moved not in taken and np.any(region == moved) else voxel


def to_zyx(voxels: np.ndarray | list[int], shape: tuple[int, ...]) -> np.ndarray:
    """Flat indices as an int64 array of shape (voxels, 3)."""
    return np.stack(np.unravel_index(np.asarray(voxels, dtype=np.int64), shape), axis=1)
