"""Commands `lesionclick-train validate` and `table`: how good networks are."""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick.cli.options import DeviceOption as InferenceDeviceOption
from lesionclick.cli.options import FieldOfViewOption, MirroringOption, NetworksOption
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks
from lesionclick_training.cli.options import DatasetNumber, DeviceOption, RootOption, SizeOption, StemOption
from lesionclick_training.nnunet.job import AUTOPET_STEM, Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.paper_rows import PAPER_ROWS


def _check_rows(names: list[str] | None) -> list[str]:
    """The rows asked for, or all."""
    known = [row.name for row in PAPER_ROWS]
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}")
    return names or known


def validate_command(
    model: Annotated[Path, typer.Argument(help="The model folder.")],
    dataset: Annotated[Path, typer.Option(help="DatasetXXX_Name, in nnU-Net's raw folder.")],
    fold: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of the fold to validate, its network on its cases; without it all on all cases."
        ),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(help="File that says which cases a fold has; without it splits_final.json of --dataset."),
    ] = None,
    clicks_folder: Annotated[
        Path | None, typer.Option(help="Folder of official clicks; without it the folder clicks of --dataset.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The .csv file to write, a line for each case and number of clicks.")
    ] = None,
    device: InferenceDeviceOption = "auto",
    field_of_view: FieldOfViewOption = FieldOfView.body,
    mirroring: MirroringOption = Mirroring.none,
    networks: NetworksOption = Networks.all,
) -> None:
    """Prints Dice, false positive and false negative volume at 0, 3, 7 and 10 clicks a label.

    Cases without official clicks get simulated ones.
    """
    from lesionclick.case.dataset import Dataset
    from lesionclick.evaluation.summary import summarize, to_markdown
    from lesionclick.inference.ensemble import Ensemble
    from lesionclick_training.data.nnunet_layout import SPLITS_FILE
    from lesionclick_training.study.validation import read_fold, validate

    ensemble = Ensemble.load(model, device, folds=None if fold is None else [str(fold)])
    cases = Dataset.find(dataset)
    names = cases.names if fold is None else read_fold(splits or dataset / SPLITS_FILE, cases.names, fold)
    inference = InferenceSettings(field_of_view, mirroring, networks)
    table = validate(ensemble, cases, names, clicks_folder, inference=inference)
    if out is not None:
        table.write(out)
    typer.echo(to_markdown(table, summarize(table)), nl=False)


def table_command(
    dataset: DatasetNumber,
    more_data: Annotated[
        int, typer.Argument(help="Number of the same dataset with more cases on the training side of its folds.")
    ],
    start: Annotated[Path, typer.Option(help="Checkpoint without clicks that every row starts from.")],
    out: Annotated[Path, typer.Option(help="The .md file to write.")],
    root: RootOption,
    size: SizeOption = NetworkSize.published,
    folds: Annotated[str, typer.Option(help="Folds of the cross-validation, such as 0-4.")] = "0",
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            callback=_check_rows,
            help="Name of a row of the table to train now, may be repeated; without it all rows.",
        ),
    ] = None,
    stem: StemOption = AUTOPET_STEM,
    device: DeviceOption = Device.cuda,
    field_of_view: FieldOfViewOption = FieldOfView.body,
    mirroring: MirroringOption = Mirroring.none,
    networks: NetworksOption = Networks.all,
) -> None:
    """Trains and validates every row of the paper's table, with one budget, and writes the table.

    The environment's LESIONCLICK_EPOCHS and so on, as in `train`, set the budget. Networks and validations stay in
    ROOT/table; what is there is not made again, so that a table goes on where it stopped.
    """
    from lesionclick.cli.evaluate import parse_numbers
    from lesionclick_training.study.paper_table import write_table
    from lesionclick_training.study.table_study import TableStudy

    study = TableStudy(
        workspace=Workspace(root, results_name="table"),
        dataset=dataset,
        more_data=more_data,
        start=start,
        stem=stem,
        size=size,
        folds=parse_numbers(folds, "--folds"),
        device=device,
        training=TrainingSettings.from_environment(),
        inference=InferenceSettings(field_of_view, mirroring, networks),
    )
    write_table(study.run(rows or ()), study.describe_budget(), out)
    typer.echo(out)
