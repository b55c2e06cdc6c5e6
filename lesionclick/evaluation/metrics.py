"""Metrics of the challenge: Dice, false positive and negative volume, area under a click curve, detection F1.

Source: autoPET/CT IV (Dice, volumes, AUC) and autoPET V (detection). A lesion is a connected component with 18
neighbors. What the truth does not define is NaN and left out of means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from grand_challenge_metrics.stats import calculate_confusion_matrix, dice_from_confusion_matrix
from scipy import ndimage

from lesionclick.case.lesions import label_lesions

DETECTION_IOU = 0.1  # from here on a predicted component and a true lesion match (autoPET V)


@dataclass(frozen=True)
class Detection:
    """Lesions found and missed, and predicted components that are no lesion.

    Attributes:
        true_positives: true lesions that were found.
        false_positives: predicted components that match no true lesion.
        false_negatives: true lesions that were not found.
    """

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def f1(self) -> float:
        """Detection F1; NaN where there is no true lesion."""
        if self.true_positives + self.false_negatives == 0:
            return math.nan
        return 2 * self.true_positives / (2 * self.true_positives + self.false_positives + self.false_negatives)


@dataclass(frozen=True)
class Metrics:
    """How well a mask agrees with the truth.

    Attributes:
        dice: overlap, 0 to 1; NaN where the truth is empty.
        false_positive_ml: ml of predicted components that touch no true voxel.
        false_negative_ml: ml of true components that no predicted voxel touches; NaN where the truth is empty.
        detection: components matched by overlap.
    """

    dice: float
    false_positive_ml: float
    false_negative_ml: float
    detection: Detection

    @property
    def autopetv_dice(self) -> float:
        """Dice as autoPET V's test loop has it: where the truth is empty, 1 for an empty mask, else 0."""
        if math.isnan(self.dice):
            return float(self.detection.false_positives == 0)
        return self.dice


def score_mask(prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float]) -> Metrics:
    """Compares a mask with the truth.

    Args:
        prediction: 0 and 1, three axes.
        truth: 0 and 1, of the same shape.
        spacing: of the voxels along each axis, mm.

    Raises:
        ValueError: the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"the prediction has the shape {prediction.shape}, the truth {truth.shape}")
    voxel_ml = math.prod(spacing) / 1000
    boxes = ndimage.find_objects((prediction > 0) | (truth > 0), max_label=1)
    box = boxes[0] if boxes and boxes[0] is not None else (slice(0, 1),) * 3
    predicted, true = prediction[box] > 0, truth[box] > 0
    predicted_labels, predicted_count = label_lesions(predicted)
    true_labels, true_count = label_lesions(true)
    overlap = _overlaps(true_labels, true_count, predicted_labels, predicted_count)

    missed = np.flatnonzero(overlap[1:, 1:].sum(axis=1) == 0) + 1
    extra = np.flatnonzero(overlap[1:, 1:].sum(axis=0) == 0) + 1
    false_negative = voxel_ml * float(overlap[missed].sum())
    matrix = calculate_confusion_matrix(true, predicted, [0, 1])
    return Metrics(
        dice=float(dice_from_confusion_matrix(matrix)[1]) if true_count else math.nan,
        false_positive_ml=voxel_ml * float(overlap[:, extra].sum()),
        false_negative_ml=false_negative if true_count else math.nan,
        detection=_detect(overlap),
    )


def _overlaps(first: np.ndarray, first_count: int, second: np.ndarray, second_count: int) -> np.ndarray:
    """Voxels shared by each pair of components, background included: int64 (first_count + 1, second_count + 1)."""
    pairs = first.astype(np.int64).ravel() * (second_count + 1) + second.ravel()
    counts = np.bincount(pairs, minlength=(first_count + 1) * (second_count + 1))
    return counts.reshape(first_count + 1, second_count + 1)


def _detect(overlap: np.ndarray) -> Detection:
    shared = overlap[1:, 1:]
    union = overlap[1:].sum(axis=1)[:, None] + overlap[:, 1:].sum(axis=0)[None] - shared
    matched = shared / union >= DETECTION_IOU
    found, used = matched.any(axis=1), matched.any(axis=0)
    return Detection(int(found.sum()), int((~used).sum()), int((~found).sum()))


def auc(values: Sequence[float] | np.ndarray) -> float:
    """Area under a curve: the trapezoid rule with unit steps between its points.

    autoPET/CT IV has 11 points, at 0 to 10 clicks of each label; the paper has 4, at 0, 3, 7 and 10 clicks; autoPET V
    has 6, at iterations 0 to 5.
    """
    return float(np.trapezoid(values))
