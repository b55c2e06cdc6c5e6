"""Overview of a case in a picture: PET projections with lesions and clicks, to see at a glance what a mask holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.files import replacing
from lesionclick.report.mip import SUV_WINDOW
from lesionclick.report.orientation import Orientation

CT_WINDOW = (-200.0, 300.0)  # HU

MASK_COLOR = "#d62728"

CLICK_MARKS = {"tumor": ("o", "#1f77b4"), "background": ("X", "#2ca02c")}

INCHES_HIGH = 6.0


@dataclass(frozen=True)
class Panel:
    """One projection: a title, and what is drawn over the PET.

    Attributes:
        title: above the panel.
        mask_zyx: lesions on the case's grid, or None.
        clicks: marked in it.
    """

    title: str
    mask_zyx: np.ndarray | None = None
    clicks: Sequence[Click] = field(default=())


def draw(case: Case, panels: Sequence[Panel], path: Path) -> None:
    """Draws a coronal CT slice and, for each panel, the coronal maximum-intensity projection of the PET.

    The CT's slice is the one with the most lesion voxels of the first mask. The head is up and the patient's right on
    the left, as far as the case's directions are along the body's axes (`Orientation`).

    Args:
        case: the images.
        panels: at least one.
        path: a .png; its folder is made where missing.

    Raises:
        CaseError: the file cannot be written.
    """
    _, width, _, height = extent = _extent(case)
    inches_wide = INCHES_HIGH * width / height
    columns = len(panels) + 1
    figure = Figure(figsize=(max(1.6, inches_wide) * columns, INCHES_HIGH + 0.5), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]

    mask = next((panel.mask_zyx for panel in panels if panel.mask_zyx is not None and panel.mask_zyx.any()), None)
    ct = Orientation.of(case.geometry).turn(case.ct_zyx)
    depth = ct.shape[1] // 2 if mask is None else int(_turn(mask, case).sum(axis=(0, 2)).argmax())
    low, high = CT_WINDOW
    axes[0].imshow(ct[:, depth], cmap="gray", vmin=low, vmax=high, extent=extent)
    axes[0].set_title("CT, coronal", fontsize=10)
    axes[0].set_axis_off()
    for axis, panel in zip(axes[1:], panels, strict=True):
        project(axis, case, panel)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def project(axis: Axes, case: Case, panel: Panel) -> None:
    """Draws one panel: the coronal maximum-intensity projection of the PET with lesions and clicks, axes in mm."""
    low, high = SUV_WINDOW
    extent = _extent(case)
    axis.imshow(_turn(case.pet_zyx, case).max(axis=1), cmap="gray_r", vmin=low, vmax=high, extent=extent)
    if panel.mask_zyx is not None:
        _overlay(axis, _turn(panel.mask_zyx, case).max(axis=1), extent)
    _mark(axis, panel.clicks, case)
    axis.set_title(panel.title, fontsize=10)
    axis.set_axis_off()


def _turn(array_zyx: np.ndarray, case: Case) -> np.ndarray:
    return Orientation.of(case.geometry).turn(array_zyx)


def _extent(case: Case) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a coronal view, mm."""
    down, _, across = Orientation.of(case.geometry).spacing(case.geometry)
    rows, _, columns = _turn(case.ct_zyx, case).shape
    return 0.0, columns * across, 0.0, rows * down


def _overlay(axis: Axes, mask: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    colored = np.zeros((*mask.shape, 4))
    colored[..., :3] = to_rgb(MASK_COLOR)
    colored[..., 3] = 0.65 * (mask > 0)
    axis.imshow(colored, extent=extent, interpolation="nearest")


def _mark(axis: Axes, clicks: Sequence[Click], case: Case) -> None:
    orientation = Orientation.of(case.geometry)
    down, _, across = orientation.spacing(case.geometry)
    _, _, _, height = _extent(case)
    for label, (marker, color) in CLICK_MARKS.items():
        points = [
            orientation.turn_point((click.z, click.y, click.x), case.ct_zyx.shape)
            for click in clicks
            if click.label == label
        ]
        x = [(column + 0.5) * across for _, _, column in points]
        y = [height - (row + 0.5) * down for row, _, _ in points]
        axis.scatter(x, y, s=22, marker=marker, facecolor=color, edgecolor="white", linewidth=0.7)
