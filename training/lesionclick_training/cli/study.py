"""Commands `lesionclick-train validate`, `table` and `ideas`: how good networks are, and which way of training pays."""

import os
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
from lesionclick.inference.settings import (
    DEFAULT_SETTINGS,
    FieldOfView,
    InferenceSettings,
    Mirroring,
    Networks,
    PostProcessing,
)
from lesionclick_training.cli.options import DatasetNumber, DeviceOption, RootOption, SizeOption, StemOption
from lesionclick_training.nnunet.job import AUTOPET_STEM, Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.settings import TrainingSettings, variable_of
from lesionclick_training.nnunet.workspace import Workspace
from lesionclick_training.study.ideas import BASE, IDEA_NAMES
from lesionclick_training.study.paper_rows import PAPER_ROWS

FullFieldOption = Annotated[
    FieldOfView,
    typer.Option(
        envvar="LESIONCLICK_FIELD_OF_VIEW",
        help="Where networks look. The published method looks at the full field of view, so that figures compare with "
        "the paper's only there.",
    ),
]

FoldsOption = Annotated[str, typer.Option(help="Folds of the cross-validation, such as 0-4.")]

SeedsOption = Annotated[
    str,
    typer.Option(
        envvar=variable_of("seed"),
        help="Seeds, such as 0-2: a row is trained once a seed and fold, a case's scores are the mean over the seeds.",
    ),
]

ROW_NAMES = [row.name for row in PAPER_ROWS]


def _check_rows(names: list[str] | None) -> list[str] | None:
    return _check_names(names, ROW_NAMES)


def _check_ideas(names: list[str] | None) -> list[str] | None:
    return _check_names(names, IDEA_NAMES)


def _check_idea_rows(names: list[str] | None) -> list[str] | None:
    return _check_names(names, [BASE, *IDEA_NAMES])


def _check_names(names: list[str] | None, known: Sequence[str]) -> list[str] | None:
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}")
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
    folds: FoldsOption = "0",
    seeds: SeedsOption = "0",
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
    other settings than those that are there are refused. Several processes may run at a time: each takes what no other
    is at work on.
    """
    from lesionclick.cli.evaluate import parse_numbers
    from lesionclick_training.study.paper_table import write_table
    from lesionclick_training.study.row_study import RowStudy
    from lesionclick_training.study.table_study import START, run_table

    study = RowStudy(
        workspace=Workspace(root, results_name="table"),
        dataset=dataset,
        start=start,
        stem=stem,
        size=size,
        folds=parse_numbers(folds, "--folds"),
        seeds=parse_numbers(seeds, "--seeds"),
        device=device,
        training=_training(),
        inference=InferenceSettings(field_of_view, mirroring, networks),
    )
    found = run_table(study, more_data, rows or ROW_NAMES)
    write_table(found, study.describe_budget(START), study.networks, out)
    typer.echo(out)


def ideas_command(
    dataset: DatasetNumber,
    held_out: Annotated[
        str, typer.Option(help="Folder or number of a dataset of further cases, none of which a network is trained on.")
    ],
    start: Annotated[Path, typer.Option(help="Checkpoint of a network that every row starts from.")],
    out: Annotated[Path, typer.Option(help="File (.md) to write.")],
    root: RootOption,
    size: SizeOption = NetworkSize.published,
    folds: FoldsOption = "0",
    seeds: SeedsOption = "0",
    steps: Annotated[str, typer.Option(help="Numbers of clicks a label to validate at.")] = "0,1,3,10",
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--row",
            callback=_check_idea_rows,
            help=f"Row to do now: {BASE} or the name of an idea; may be repeated; without it all whose data are there.",
        ),
    ] = None,
    together: Annotated[
        list[str] | None,
        typer.Option(
            callback=_check_ideas, help="Name of an idea to try together with others, in one more row; repeated."
        ),
    ] = None,
    low_uptake: Annotated[
        int | None,
        typer.Option(
            help="Number of a dataset with the same cases and folds, preprocessed with --pet-normalization low-uptake."
        ),
    ] = None,
    stem: StemOption = AUTOPET_STEM,
    device: DeviceOption = Device.cuda,
    field_of_view: FullFieldOption = FieldOfView.body,
) -> None:
    """Trains and validates a base and each idea beyond the paper alone, with one budget, and writes the table.

    Each row is validated on its folds' own cases and on the held-out ones, apart. The budget is that of the variables
    LESIONCLICK_EPOCHS and so on, which `train --help` lists. Networks and validations stay in ROOT/ideas, and all else
    is as with `table`.
    """
    from lesionclick.cli.evaluate import parse_numbers
    from lesionclick_training.study.ideas_study import run_ideas
    from lesionclick_training.study.ideas_table import write_ideas
    from lesionclick_training.study.row_study import RowStudy

    workspace = Workspace(root, results_name="ideas")
    study = RowStudy(
        workspace=workspace,
        dataset=dataset,
        start=start,
        stem=stem,
        size=size,
        folds=parse_numbers(folds, "--folds"),
        seeds=parse_numbers(seeds, "--seeds"),
        device=device,
        training=_training(),
        inference=InferenceSettings(field_of_view, Mirroring.none, Networks.all),
        steps=parse_numbers(steps, "--steps"),
        held_out=workspace.find_raw(int(held_out)) if held_out.isdecimal() else Path(held_out),
    )
    found = run_ideas(study, rows or (), together or (), low_uptake)
    write_ideas(found, study.describe_budget("the same network"), study.networks, out)
    typer.echo(out)


def _training() -> TrainingSettings:
    """The environment's settings without the seed, which is that of --seeds."""
    environment = {name: value for name, value in os.environ.items() if name != variable_of("seed")}
    return TrainingSettings.from_environment(environment)
