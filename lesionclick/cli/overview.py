"""The command `lesionclick overview`: what a mask holds, in a line and a picture."""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from lesionclick.case.case import TRUTH_FILE, Case, mask_path
from lesionclick.case.images import read_mask
from lesionclick.case.lesions import components
from lesionclick.evaluation.metrics import evaluate


def overview_command(
    input: Annotated[Path, typer.Argument(help="The case, in Grand Challenge layout; truth.mha may lie in it.")],
    output: Annotated[Path, typer.Argument(help="The folder that predict wrote the case's mask to.")],
    before: Annotated[
        Path | None, typer.Option(help="The folder of another prediction, without clicks, to show beside it.")
    ] = None,
) -> None:
    """Prints a mask's lesions, volume and, where a truth lies beside the case, Dice; draws a .png beside the mask."""
    from lesionclick.report import overview

    case = Case.read(input)
    path = mask_path(case, output)
    mask = read_mask(path, case.geometry)
    panels = [overview.Panel("PET, predicted lesions", mask, case.clicks)]
    if before is not None:
        first = read_mask(mask_path(case, before), case.geometry)
        panels = [
            overview.Panel("PET, predicted without clicks", first),
            overview.Panel("PET, predicted with clicks", mask, case.clicks),
        ]
    _, count = components(mask)
    volume = np.count_nonzero(mask) * math.prod(case.geometry.spacing) / 1000
    typer.echo(f"{count} lesions, {volume:.1f} ml")
    truth_path = input / TRUTH_FILE
    if truth_path.exists():
        truth = read_mask(truth_path, case.geometry)
        panels.append(overview.Panel("PET, true lesions", truth))
        found = evaluate(mask, truth, case.geometry.spacing_zyx)
        typer.echo(
            f"Dice {found.dice:.3f}, false positive volume {found.false_positive_volume:.1f} ml, "
            f"false negative volume {found.false_negative_volume:.1f} ml"
        )
    picture = path.with_suffix(".png")
    overview.draw(case, panels, picture)
    typer.echo(picture)
