"""Report: phantoms against reality, as one figure."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lesionclick.files import replacing
from lesionclick_training.phantom import reality
from lesionclick_training.phantom.measurements import (
    Measurement,
    click_shares,
    lesion_free_share,
    measure,
    organ_quantiles,
    organ_quartiles_mm,
)
from lesionclick_training.phantom.phantom import Phantom
from lesionclick_training.phantom.population import Tracer

REAL, PHANTOM = "#9a9a9a", "#1f6fb2"

TRACERS: tuple[Tracer, ...] = ("FDG", "PSMA")


def report_phantoms(phantoms: Iterable[tuple[str, Phantom]], path: Path, title: str) -> None:
    """Measures phantoms, each given with its name, one by one, and draws them with `draw_report`."""
    draw_report([measure(phantom) for _, phantom in phantoms], path, title)


def draw_report(measured: Sequence[Measurement], path: Path, title: str) -> None:
    """Draws phantoms of both tracers against `reality` as PNG; a tracer without phantoms shows reality alone."""
    drawing = Figure(figsize=(17.0, 8.4), facecolor="white", layout="constrained")
    FigureCanvasAgg(drawing)
    drawing.suptitle(title, fontsize=12)
    panels = drawing.subplots(2, 5, width_ratios=(1.25, 1.25, 0.8, 1.1, 1.0))
    for tracer, row in zip(TRACERS, panels, strict=True):
        mine = [each for each in measured if each.tracer == tracer]
        _volumes(row[0], mine, tracer)
        _places(row[1], mine, tracer)
        _lengths(row[2], mine, tracer)
        _clicks(row[3], mine, tracer)
        _lesions(row[4], mine, tracer)
    with replacing(path) as partial:
        drawing.savefig(partial, dpi=100, format="png")


def _bars(panel: Axes, at: float, quantiles: Sequence[float] | np.ndarray, color: str, label: str | None) -> None:
    """A box from the second to the last but one quantile, a line between the outer ones, a tick at the median."""
    panel.plot([quantiles[0], quantiles[-1]], [at, at], color=color, linewidth=1.2)
    panel.plot([quantiles[1], quantiles[-2]], [at, at], color=color, linewidth=7, solid_capstyle="butt", label=label)
    panel.plot([quantiles[len(quantiles) // 2]], [at], "|", color="white", markersize=8, markeredgewidth=2)


def _pairs(panel: Axes, names: Sequence[str], title: str) -> None:
    panel.set_yticks(range(len(names)), names, fontsize=9)
    panel.invert_yaxis()
    panel.set_title(title, fontsize=10)
    panel.tick_params(axis="x", labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def _volumes(panel: Axes, measured: Sequence[Measurement], tracer: Tracer) -> None:
    organs = list(reality.ORGAN_ML[tracer])
    for at, organ in enumerate(organs):
        _bars(panel, at - 0.2, reality.ORGAN_ML[tracer][organ], REAL, "real" if at == 0 else None)
        quantiles = organ_quantiles(measured, organ)
        if quantiles.size:
            _bars(panel, at + 0.2, quantiles, PHANTOM, "phantom" if at == 0 else None)
    panel.set_xscale("log")
    _pairs(panel, organs, f"{tracer}: volume, ml (5, 25, 50, 75, 95 %)")
    panel.legend(fontsize=8, frameon=False, loc="lower right")


def _places(panel: Axes, measured: Sequence[Measurement], tracer: Tracer) -> None:
    organs = list(reality.ORGAN_POSITION_MM[tracer])
    for at, organ in enumerate(organs):
        real, mine = np.array(reality.ORGAN_POSITION_MM[tracer][organ]), organ_quartiles_mm(measured, organ)
        for axis, marker in enumerate("^s>"):
            for offset, places, color in ((-0.2, real, REAL), (0.2, mine, PHANTOM)):
                if places.size:
                    panel.plot(places[axis][[0, 2]], [at + offset] * 2, color=color, linewidth=2)
                    panel.plot(places[axis][1], at + offset, marker, color=color, markersize=5)
    panel.axvline(0, color="#dddddd", linewidth=0.8, zorder=0)
    _pairs(panel, organs, "middle against the liver's, mm\n(▲ up, ■ back, ▶ left)")


def _lengths(panel: Axes, measured: Sequence[Measurement], tracer: Tracer) -> None:
    for at, (real, mine) in enumerate(
        (
            (reality.LENGTH_MM[tracer], [each.length_mm for each in measured]),
            (reality.WIDTH_MM[tracer], [each.width_mm for each in measured]),
        )
    ):
        _bars(panel, at - 0.15, real, REAL, None)
        if mine:
            _bars(panel, at + 0.15, np.percentile(mine, reality.LEVELS), PHANTOM, None)
    panel.set_ylim(-0.7, 1.7)
    panel.set_xlim(0, None)
    _pairs(panel, ["length", "width"], "scan, mm")


def _clicks(panel: Axes, measured: Sequence[Measurement], tracer: Tracer) -> None:
    real, mine = reality.BACKGROUND_CLICKS[tracer], click_shares(measured)
    organs = list(real)
    panel.barh(np.arange(len(organs)) - 0.2, [100 * real[organ] for organ in organs], 0.38, color=REAL)
    panel.barh(np.arange(len(organs)) + 0.2, [100 * mine.get(organ, 0) for organ in organs], 0.38, color=PHANTOM)
    _pairs(panel, organs, "background clicks, %")


def _lesions(panel: Axes, measured: Sequence[Measurement], tracer: Tracer) -> None:
    """Volumes of the phantoms' lesions; of real ones nothing but the share of cases without any is known here."""
    volumes = [ml for each in measured for ml in each.lesion_ml]
    counts = [len(each.lesion_ml) for each in measured if each.lesion_ml]
    text = f"no lesion: real {100 * reality.LESION_FREE[tracer]:.0f} %"
    if measured:
        text += f", phantom {100 * lesion_free_share(measured):.0f} %"
    if volumes:
        panel.hist(volumes, np.geomspace(0.03, 3000, 31).tolist(), color=PHANTOM)
        panel.set_xscale("log")
        text += f"\nvolume: median {np.median(volumes):.1f} ml, up to {max(volumes):.0f}"
        text += f"\na case: median {np.median(counts):.0f}, up to {max(counts)}"
    panel.set_title(text, fontsize=9)
    panel.set_xlabel("volume of a lesion, ml", fontsize=9)
    panel.set_ylabel("lesions", fontsize=9)
    panel.tick_params(labelsize=8)
    panel.spines[["top", "right"]].set_visible(False)
