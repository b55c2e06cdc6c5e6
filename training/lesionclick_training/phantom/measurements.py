"""Measurements of phantoms, in the terms that `reality` gives of real cases."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cc3d
import numpy as np

from lesionclick.simulation.official_clicks import simulate_official
from lesionclick_training.data.nnunet_layout import ORGANS
from lesionclick_training.phantom import reality
from lesionclick_training.phantom.phantom import Phantom
from lesionclick_training.phantom.population import Tracer

OTHER = "other"
"""Where a click lies in no organ."""


@dataclass(frozen=True)
class Measurement:
    """One phantom in numbers.

    Attributes:
        tracer: of the PET.
        organ_ml: volume of each organ that the field of view holds.
        organ_mm: middle of each organ's box from that of the liver's: z (up), y (back), x (to the left).
        length_mm: of the scan.
        width_mm: of the field.
        lesion_ml: volume of each lesion (26 neighbors).
        background_clicks: how many official background clicks lie in each organ or `OTHER`.
    """

    tracer: Tracer
    organ_ml: Mapping[str, float]
    organ_mm: Mapping[str, np.ndarray]
    length_mm: float
    width_mm: float
    lesion_ml: tuple[float, ...]
    background_clicks: Mapping[str, int]


def measure(phantom: Phantom) -> Measurement:
    """The numbers of a phantom."""
    spacing = np.array(phantom.spacing_zyx)
    voxel_ml = float(spacing.prod()) / 1000
    counts = np.bincount(phantom.organ_zyx.ravel(), minlength=len(ORGANS) + 1)[1:]
    centers = {
        organ: _box_center(phantom.organ_zyx == i) * spacing for i, organ in enumerate(ORGANS, 1) if counts[i - 1]
    }
    liver = centers.get("liver")
    lesions = cc3d.connected_components(phantom.lesion_zyx, connectivity=26)
    clicks = Counter(
        ORGANS[organ - 1] if organ else OTHER
        for click in simulate_official(phantom.pet_zyx, phantom.lesion_zyx)
        if click.label == "background"
        for organ in (int(phantom.organ_zyx[click.z, click.y, click.x]),)
    )
    return Measurement(
        tracer=phantom.tracer,
        organ_ml={organ: float(count) * voxel_ml for organ, count in zip(ORGANS, counts, strict=True) if count},
        organ_mm={} if liver is None else {organ: center - liver for organ, center in centers.items()},
        length_mm=phantom.ct_zyx.shape[0] * phantom.spacing_zyx[0],
        width_mm=phantom.ct_zyx.shape[2] * phantom.spacing_zyx[2],
        lesion_ml=tuple((np.bincount(lesions.ravel())[1:] * voxel_ml).tolist()),
        background_clicks=clicks,
    )


def organ_quantiles(measured: Iterable[Measurement], organ: str) -> np.ndarray:
    """Volumes of an organ at the percentiles of `reality.LEVELS`, ml, of the phantoms that show it; empty for none."""
    volumes = [each.organ_ml[organ] for each in measured if organ in each.organ_ml]
    return np.percentile(volumes, reality.LEVELS) if volumes else np.array([])


def organ_quartiles_mm(measured: Iterable[Measurement], organ: str) -> np.ndarray:
    """Quartiles of an organ's place against the liver's, mm: shape (3 of z, y, x; 3 quartiles); empty for none."""
    places = [each.organ_mm[organ] for each in measured if organ in each.organ_mm]
    return np.percentile(places, (25, 50, 75), axis=0).T if places else np.array([])


def lesion_free_share(measured: Sequence[Measurement]) -> float:
    """Share of the phantoms without a lesion."""
    return sum(not each.lesion_ml for each in measured) / len(measured)


def click_shares(measured: Iterable[Measurement]) -> dict[str, float]:
    """Share of the official background clicks by the organ that they lie in."""
    total: Counter[str] = Counter()
    for each in measured:
        total.update(each.background_clicks)
    return {organ: count / total.total() for organ, count in total.most_common()}


def _box_center(mask_zyx: np.ndarray) -> np.ndarray:
    """The middle of a mask's box in voxels."""
    middles = []
    for axis in range(3):
        held = np.flatnonzero(mask_zyx.any(axis=tuple(other for other in range(3) if other != axis)))
        middles.append((held[0] + held[-1]) / 2)
    return np.array(middles)
