"""Alignment: whether CT and PET show the same patient in the same place.

How well two images go together is measured as their mutual information (Maes et al. 1997, IEEE Trans Med Imaging
16:187), which asks for no unit. Where the PET goes with the CT better once it is flipped or moved, that is
what happened to it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from lesionclick.case.case import Case
from lesionclick.checks.coarse import CoarseCase
from lesionclick.checks.warning import CaseWarning

STEP_MM = 12.0

FLIP_GAIN = 1.04
"""So much more information must a flipped PET give; of 64 phantoms the most was 0.81, of 38 real crops 0.85."""

MOVE_GAIN = 1.08
"""The same for a moved one; the most was 0.58 and 0.87."""

MOVES_MM = (36.0, 160.0)
"""Shorter ways may be breathing or a patient who moved."""

LEAST_OVERLAP = 0.7
"""Dice of the two bodies; the least was 0.87 and 0.78."""

HU_EDGES = (-900, -500, -200, -120, -50, 0, 40, 80, 150, 300)

UPTAKE_LEVELS = 8
"""Classes of uptake in the PET's body, of as many voxels each."""

FLIPS = {0: "left-right", 1: "front-back", 2: "head-feet"}  # by the world's axis


def check_alignment(case: Case) -> list[CaseWarning]:
    """Warns where the PET seems flipped, moved or of another patient; one warning at most."""
    coarse = CoarseCase.of(case, STEP_MM)
    ct, pet, ct_body, pet_body = coarse.ct_zyx, coarse.pet_zyx, coarse.ct_body_zyx, coarse.pet_body_zyx
    seen = _slices_seen_in_both(ct, pet)
    # a flip of a patient shows inside; a crop is so small that its outline is needed, too
    where = seen[:, None, None] & (ct_body if coarse.is_large else np.ones_like(ct_body))
    if seen.sum() < 4 or not where.any() or not pet_body.any():
        return []
    hu = np.digitize(ct[where], HU_EDGES)
    levels = np.quantile(pet[pet_body], np.linspace(0, 1, UPTAKE_LEVELS, endpoint=False))
    uptake = np.digitize(pet, np.unique(levels))
    as_it_is = max(_mutual_information(hu, uptake[where]), 1e-6)

    def gain(changed_zyx: np.ndarray) -> float:
        return _mutual_information(hu, changed_zyx[where]) / as_it_is

    overlap = _dice(ct_body[seen], pet_body[seen])
    flip_gain, axis = max((gain(np.flip(uptake, axis)), axis) for axis in range(3))
    move_gain, along, mm = max(
        (
            (gain(np.roll(uptake, steps, axis)), axis, steps * coarse.spacing_zyx[axis])
            for axis, steps in _moves(coarse.spacing_zyx, ct.shape)
        ),
        default=(0.0, 0, 0.0),
    )
    figures = {"flip_gain": flip_gain, "move_gain": move_gain, "overlap": overlap}
    if flip_gain > max(FLIP_GAIN, move_gain):
        name = FLIPS[int(np.argmax(np.abs(np.reshape(case.geometry.direction, (3, 3))[:, 2 - axis])))]
        sentence = (
            f"flipped {name} the PET would go with the CT {flip_gain:.2f} times as well (by mutual information): is "
            "one of the two flipped?"
        )
        return [CaseWarning(f"flip-{name}", sentence, figures)]
    if move_gain > MOVE_GAIN:
        sentence = (
            f"moved by {mm:.0f} mm along {'zyx'[along]} the PET would go with the CT {move_gain:.2f} times as well (by "
            "mutual information): are the two of one examination, and in one place?"
        )
        return [CaseWarning("moved", sentence, {**figures, f"{'zyx'[along]}_mm": mm})]
    if overlap < LEAST_OVERLAP:
        sentence = (
            f"the bodies in CT and PET overlap with a Dice of {overlap:.2f}, expected is {LEAST_OVERLAP} or more: are "
            "they of one patient and one examination?"
        )
        return [CaseWarning("no-overlap", sentence, figures)]
    return []


def _moves(spacing: Sequence[float], shape: Sequence[int]) -> Iterator[tuple[int, int]]:
    """An axis and a number of voxels for each way that the PET may have been moved."""
    for axis, (mm, size) in enumerate(zip(spacing, shape, strict=True)):
        for steps in range(max(1, round(MOVES_MM[0] / mm)), min(round(MOVES_MM[1] / mm), size // 3) + 1):
            yield from ((axis, steps), (axis, -steps))


def _slices_seen_in_both(ct: np.ndarray, pet: np.ndarray) -> np.ndarray:
    """Axial slices that hold more than one value in both: neither image is merely filled up there."""
    seen: np.ndarray = (np.ptp(ct, axis=(1, 2)) > 0) & (np.ptp(pet, axis=(1, 2)) > 0)
    return seen


def _mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Of two images of classes, nats."""
    classes = UPTAKE_LEVELS + 1
    joint = np.bincount((first * classes + second).ravel(), minlength=(len(HU_EDGES) + 1) * classes).reshape(
        -1, classes
    )
    shares = joint / joint.sum()
    apart = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0, keepdims=True)
    found = shares > 0
    return float((shares[found] * np.log(shares[found] / apart[found])).sum())


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 0.0
