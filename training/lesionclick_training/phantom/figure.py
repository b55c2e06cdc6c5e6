"""Figure of a phantom: slices and projections with organs and lesions."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy import ndimage

from lesionclick_training.phantom.phantom import Phantom

ORGAN_COLORS = ListedColormap(
    ["#7b6fb0", "#c98b3c", "#a8765c", "#d9c44a", "#b9d3e6", "#c7bcb0", "#d99aa8", "#8fb58a", "#4d8f86", "#5b8fc4"]
)
"""A color for each organ class, in the order of `nnunet_layout.ORGANS`."""

LESION_COLORS = ListedColormap(["#d4001a"])

LARGE_TO_SMALL = (5, 3, 6, 7, 8, 1, 2, 4, 9, 10)
"""Organ classes from large to small, so that a projection hides none."""


def draw_figure(phantom: Phantom, path: Path) -> None:
    """Draws a phantom as PNG: coronal CT, maximum-intensity projection of the PET, both fused, and the labels."""
    depth, _, width = phantom.ct_zyx.shape
    tall = depth * phantom.spacing_zyx[0] / (width * phantom.spacing_zyx[2])
    drawing = Figure(figsize=(12.0, 2.92 * tall + 0.42), facecolor="white", layout="constrained")
    FigureCanvasAgg(drawing)
    panels = drawing.subplots(1, 4)
    row = _middle_row(phantom)
    ct, pet = phantom.ct_zyx[:, row], phantom.pet_zyx[:, row]
    highest = 7.0 if phantom.tracer == "FDG" else 12.0
    count = ndimage.label(phantom.lesion_zyx, np.ones((3, 3, 3)))[1]
    _show(panels[0], "CT", phantom, ct, cmap="gray", vmin=-160, vmax=240)
    _show(
        panels[1],
        f"{phantom.tracer} PET, SUV 0 to {highest:.0f}",
        phantom,
        phantom.pet_zyx.max(axis=1),
        cmap="gray_r",
        vmin=0,
        vmax=highest,
    )
    _show(panels[2], "fused", phantom, ct, cmap="gray", vmin=-160, vmax=240)
    heat = np.clip(pet / highest, 0, 1)
    _show(panels[2], "fused", phantom, pet, cmap="hot", vmin=0, vmax=highest, alpha=0.75 * np.sqrt(heat))
    _show(
        panels[3],
        f"organs and lesions ({count})",
        phantom,
        _projected_organs(phantom.organ_zyx),
        cmap=ORGAN_COLORS,
        vmin=1,
        vmax=10,
    )
    _show(
        panels[3],
        panels[3].get_title(),
        phantom,
        np.ma.masked_equal(phantom.lesion_zyx.max(axis=1), 0),
        cmap=LESION_COLORS,
    )
    drawing.savefig(path, dpi=110)


def _show(panel: Axes, title: str, phantom: Phantom, image: np.ndarray, **imshow_options: Any) -> None:
    panel.imshow(image, origin="lower", aspect=phantom.spacing_zyx[0] / phantom.spacing_zyx[2], **imshow_options)
    panel.set_title(title, fontsize=11, color="black")
    panel.set_axis_off()


def _middle_row(phantom: Phantom) -> int:
    """The coronal plane through the middle of the body."""
    body = (phantom.ct_zyx > -300).sum(axis=(0, 2))
    return int(np.searchsorted(body.cumsum(), body.sum() / 2))


def _projected_organs(organ_zyx: np.ndarray) -> np.ndarray:
    """Organ classes seen from the front, small ones over large ones; masked where there are none."""
    seen = np.zeros((organ_zyx.shape[0], organ_zyx.shape[2]), dtype=np.uint8)
    for organ in LARGE_TO_SMALL:
        seen[(organ_zyx == organ).any(axis=1)] = organ
    return np.ma.masked_equal(seen, 0)
