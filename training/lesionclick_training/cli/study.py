"""Commands `lesionclick-train validate` and `table`: how good networks are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lesionclick.cli.options import (
    ComponentFloorOption,
    LesionFreeGateOption,
    MirroringOption,
    NetworksOption,
    ObeyClicksOption,
)
from lesionclick.cli.options import DeviceOption as InferenceDeviceOption
from lesionclick.inference.settings import DEFAULT_SETTINGS, FieldOfView, InferenceSettings, PostProcessing
from lesionclick_training.cli.options import DatasetNumber, DeviceOption, RootOption, SizeOption, StemOption
from lesionclick_training.nnunet.job import AUTOPET_STEM, Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.paper_rows import PAPER_ROWS

FullFieldOption = Annotated[
    FieldOfView,
    typer.Option(
        envvar="LESIONCLICK_FIELD_OF_VIEW",
        help="Where networks look. The published method looks at the full field of view, so that figures compare with "
        "the paper's only there.",
    ),
]

ROW_NAMES = [row.name for row in PAPER_ROWS]


def _check_rows(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in ROW_NAMES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(ROW_NAMES)}")
    return names


def validate_command(
    model: Annotated[Path, typer.Argument(help="Folder of the model, as `train` prints it.")],
    dataset: Annotated[
        Path, typer.Option(help="Folder of the dataset with the cases, DatasetXXX_Name in nnU-Net's raw folder.")
    ],
    fold: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of the fold whose network predicts its validation cases, none of which it was trained on; "
            "without it all networks predict all cases, and it is said which of them they were trained on.",
        ),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(help="File that names the cases of each fold; without it splits_final.json of the dataset."),
    ] = None,
    clicks_folder: Annotated[
        Path | None, typer.Option(help="Folder of official clicks; without it the folder clicks of the dataset.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File (.csv) to write, with a line for each case and number of clicks. A validation that was stopped "
            "goes on from OUT.unfinished, where its cases lie until then."
        ),
    ] = None,
    device: InferenceDeviceOption = "auto",
    field_of_view: FullFieldOption = FieldOfView.full,
    mirroring: MirroringOption = DEFAULT_SETTINGS.mirroring,
    networks: NetworksOption = DEFAULT_SETTINGS.networks,
    lesion_free_gate: LesionFreeGateOption = 0.0,
    component_floor: ComponentFloorOption = 0.0,
    obey_clicks: ObeyClicksOption = False,
) -> None:
    """Prints Dice, false positive and false negative volume at 0, 3, 7 and 10 clicks a label.

    Cases without official clicks get simulated ones.
    """
    from lesionclick.case.dataset import Dataset
    from lesionclick.evaluation.summary import Summary
    from lesionclick.inference.ensemble import Ensemble
    from lesionclick.model.files import fold_folder
    from lesionclick_training.study.seen_cases import describe_seen_cases, find_seen_cases, require_new
    from lesionclick_training.study.validation import find_fold, validate

    ensemble = Ensemble.load(model, device, folds=None if fold is None else [str(fold)])
    cases = Dataset.find(dataset)
    names: Sequence[str] = cases.names
    if fold is not None:
        names = find_fold(cases, fold, splits)
        require_new(model / fold_folder(fold), names)
    post_processing = PostProcessing(lesion_free_gate, component_floor, obey_clicks)
    inference = InferenceSettings(field_of_view, mirroring, networks, post_processing)
    table = validate(ensemble, cases, names, clicks_folder, inference=inference, out=out)
    typer.echo(Summary.of(table).to_markdown(), nl=False)
    typer.echo(describe_seen_cases(find_seen_cases(ensemble.model, names), table), nl=False)


def table_command(
    dataset: DatasetNumber,
    more_data: Annotated[
        int, typer.Argument(help="Number of a dataset with the same folds and more cases on their training side.")
    ],
    start: Annotated[Path, typer.Option(help="Checkpoint of a network without clicks that every row starts from.")],
    out: Annotated[Path, typer.Option(help="File (.md) to write.")],
    root: RootOption,
    size: SizeOption = NetworkSize.published,
    folds: Annotated[str, typer.Option(help="Folds of the cross-validation, such as 0-4.")] = "0",
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            callback=_check_rows,
            help="Name of a row of the table to train now; may be repeated; without it all rows.",
        ),
    ] = None,
    stem: StemOption = AUTOPET_STEM,
    device: DeviceOption = Device.cuda,
    field_of_view: FullFieldOption = FieldOfView.full,
    mirroring: MirroringOption = DEFAULT_SETTINGS.mirroring,
    networks: NetworksOption = DEFAULT_SETTINGS.networks,
) -> None:
    """Trains and validates every row of the paper's table, with one budget, and writes the table.

    The budget is that of the variables LESIONCLICK_EPOCHS and so on, which `train --help` lists. Networks and
    validations stay in ROOT/table; what is there is not made again, so that a table goes on where it stopped. Rows with
    other settings than those that are there are refused.
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
    write_table(study.run(rows or ROW_NAMES), study.describe_budget(), out)
    typer.echo(out)
