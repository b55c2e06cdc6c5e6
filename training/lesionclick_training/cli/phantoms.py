"""Command `lesionclick-train phantoms`: digital patients to train and test on."""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick_training.phantom.population_names import PopulationName


def phantoms_command(
    out: Annotated[
        Path,
        typer.Argument(
            help="Folder to write: a dataset, DatasetXXX_Name, with --container one of cases; with --report a PNG."
        ),
    ],
    count: Annotated[int, typer.Option(min=1, help="Number of phantoms to make.")],
    first_seed: Annotated[
        int, typer.Option(min=0, help="Seed of the first phantom; each further one has the next seed.")
    ] = 0,
    population: Annotated[
        PopulationName, typer.Option(help="What patients, scans and lesions are drawn from.")
    ] = PopulationName.REALISTIC,
    spacing: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=20,
            help="Edge of a voxel in mm; as the drawn scanner has it (2 to 5 mm) by default, 5 mm in base and more.",
        ),
    ] = None,
    extend: Annotated[
        Path | None,
        typer.Option(
            help="Dataset to make a larger one of: its cases and folds, with the phantoms on the training side of each."
        ),
    ] = None,
    container: Annotated[
        bool,
        typer.Option("--container", help="Write each phantom in Grand Challenge layout, with truth and clicks."),
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write no phantom, but one figure of them all against 180 real cases.")
    ] = False,
) -> None:
    """Makes digital phantoms: whole-body PET/CT with lesion and organ labels."""
    if container and extend is not None:
        raise typer.BadParameter("a dataset is extended by training cases, not by those of --container")

    if report and (container or extend is not None):
        raise typer.BadParameter("--report writes a figure alone: leave out --container and --extend")

    from lesionclick_training.phantom.files import draw_phantoms, write_container_cases, write_nnunet_dataset
    from lesionclick_training.phantom.populations import POPULATIONS

    spacing_zyx = None if spacing is None else (spacing,) * 3
    phantoms = draw_phantoms(range(first_seed, first_seed + count), POPULATIONS[population], spacing_zyx)
    if report:
        from lesionclick_training.phantom.report import report_phantoms

        report_phantoms(phantoms, out, f"{count} phantoms of the population {population} against 180 real cases")
    elif container:
        write_container_cases(phantoms, out)
    else:
        write_nnunet_dataset(phantoms, out, extend)
    typer.echo(f"{out}: {count} phantoms")
