"""Command `lesionclick overview`: what a mask holds, in a line and a picture."""

from pathlib import Path
from typing import Annotated

import typer


def overview_command(
    case_folder: Annotated[
        Path,
        typer.Argument(help="Folder of the case in Grand Challenge layout; it may hold a truth.mha."),
    ],
    output: Annotated[Path, typer.Argument(help="Folder that `lesionclick predict` wrote the case's mask to.")],
    before: Annotated[
        Path | None, typer.Option(help="Folder of another prediction, without clicks, to show beside this one.")
    ] = None,
) -> None:
    """Prints how many lesions a mask holds and their volume, and draws a picture beside the mask.

    Where the case has a truth, this also prints Dice and the false volumes, and draws the true lesions.
    """
    import math

    import numpy as np

    from lesionclick.case.case import TRUTH_FILE, Case, mask_path
    from lesionclick.case.images import read_mask
    from lesionclick.case.lesions import label_lesions
    from lesionclick.evaluation.metrics import score_mask
    from lesionclick.report.overview import Panel, draw

    case = Case.read(case_folder)
    path = mask_path(case, output)
    mask_zyx = read_mask(path, case.geometry)
    panels = [Panel("PET, predicted lesions", mask_zyx, case.clicks)]
    if before is not None:
        first_zyx = read_mask(mask_path(case, before), case.geometry)
        panels = [
            Panel("PET, predicted without clicks", first_zyx),
            Panel("PET, predicted with clicks", mask_zyx, case.clicks),
        ]
    _, count = label_lesions(mask_zyx)
    volume_ml = np.count_nonzero(mask_zyx) * math.prod(case.geometry.spacing) / 1000
    typer.echo(f"{count} lesions, {volume_ml:.1f} ml")
    truth_path = case_folder / TRUTH_FILE
    if truth_path.exists():
        truth_zyx = read_mask(truth_path, case.geometry)
        panels.append(Panel("PET, true lesions", truth_zyx))
        found = score_mask(mask_zyx, truth_zyx, case.geometry.spacing_zyx)
        typer.echo(
            f"Dice {found.dice:.3f}, false positive volume {found.false_positive_ml:.1f} ml, "
            f"false negative volume {found.false_negative_ml:.1f} ml"
        )
    picture = path.with_suffix(".png")
    draw(case, panels, picture)
    typer.echo(picture)
