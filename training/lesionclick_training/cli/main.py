"""The command line: `lesionclick-train convert | phantoms | preprocess | train | pretrained | validate`."""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset
from nnunetv2.experiment_planning.plans_for_pretraining.move_plans_between_datasets import move_plans_between_datasets
from tqdm import tqdm

from lesionclick.case.dataset import Dataset
from lesionclick.cli.evaluate import parse_steps
from lesionclick.cli.main import run
from lesionclick.cli.options import FieldOfViewOption, MirroringOption, NetworksOption
from lesionclick.evaluation.report import summarize, to_markdown
from lesionclick.evaluation.table import Table
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks
from lesionclick.simulation.official_clicks import simulate_official
from lesionclick_training.cli.convert import convert_app
from lesionclick_training.data.nnunet_layout import SPLITS_FILE, adding_cases
from lesionclick_training.nnunet.plans import CONFIGURATION, write_plans
from lesionclick_training.nnunet.pretrained import AUTOPET_STEM, write_pretrained
from lesionclick_training.nnunet.workspace import (
    PLANS,
    VARIANTS,
    Device,
    Plan,
    find_dataset,
    find_plans,
    find_trainer,
    model_folder_name,
    set_paths,
    train_network,
)
from lesionclick_training.phantom.files import write_container_case, write_nnunet_case
from lesionclick_training.phantom.phantom import make_phantom
from lesionclick_training.phantom.population import BASE, MORE
from lesionclick_training.study.paper_table import SETTINGS, describe_budget, train_row, validate_row, write_table
from lesionclick_training.study.validation import read_fold, validate

app = typer.Typer(
    help="Trains the networks of LesionClick with nnU-Net.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(convert_app, name="convert")

PHANTOM_WARNING = "trained on synthetic phantoms, for demonstration and tests, not for patients"
"""What a model says of itself each time it is used, if a phantom was in its training data."""

DatasetNumber = Annotated[int, typer.Argument(help="Number of the dataset, XXX of DatasetXXX_Name.")]

Root = Annotated[
    Path, typer.Option(envvar="LESIONCLICK_ROOT", help="Folder with nnU-Net's raw, preprocessed and results.")
]

PlanOption = Annotated[Plan, typer.Option(help="Size of the network.")]

Variant = Annotated[str, typer.Option(help=f"How clicks are shown: {', '.join(VARIANTS)}.")]

Stem = Annotated[int, typer.Option(help="Dataset whose stem is taken from a MultiTalent checkpoint.")]


@app.command("preprocess")
def preprocess_command(
    dataset: DatasetNumber,
    root: Root,
    plan: PlanOption = Plan.published,
    plans_of: Annotated[
        int | None, typer.Option(help="Dataset whose plans are taken, so that networks of both make one ensemble.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Cases at a time.")] = 2,
) -> None:
    """Takes a dataset's fingerprint, writes plans and preprocesses its cases, by nnU-Net."""
    name = find_dataset(root, dataset, "raw")
    if plans_of is not None:
        find_plans(root, find_dataset(root, plans_of, "preprocessed"), plan)
    set_paths(root)
    extract_fingerprint_dataset(dataset, num_processes=processes)
    raw, preprocessed = root / "raw" / name, root / "preprocessed" / name
    for file in ("dataset.json", SPLITS_FILE):
        if (raw / file).exists():
            shutil.copyfile(raw / file, preprocessed / file)
    if plans_of is None:
        write_plans(preprocessed, PLANS[plan])
    else:
        move_plans_between_datasets(plans_of, dataset, PLANS[plan].plans_name)
    plans = find_plans(root, name, plan)
    preprocess_dataset(dataset, plans.stem, [CONFIGURATION], [processes])
    typer.echo(plans)


@app.command("train")
def train_command(
    dataset: DatasetNumber,
    fold: Annotated[str, typer.Argument(help="Fold of the cross-validation, a number, or all.")],
    variant: Variant,
    root: Root,
    plan: PlanOption = Plan.published,
    pretrained: Annotated[
        Path | None, typer.Option(help="Checkpoint to start from: MultiTalent's, or of a training of this project.")
    ] = None,
    stem: Stem = AUTOPET_STEM,
    device: Annotated[Device, typer.Option(help="Where to train.")] = Device.cuda,
    epochs: Annotated[int | None, typer.Option(envvar="LESIONCLICK_EPOCHS", min=1)] = None,
    iterations: Annotated[int | None, typer.Option(envvar="LESIONCLICK_ITERATIONS", min=1, help="An epoch.")] = None,
    val_iterations: Annotated[
        int | None, typer.Option(envvar="LESIONCLICK_VAL_ITERATIONS", min=1, help="An epoch.")
    ] = None,
    initial_lr: Annotated[
        float | None,
        typer.Option(envvar="LESIONCLICK_INITIAL_LR", help="Default 0.001; from fresh weights 0.01 is usual."),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(envvar="LESIONCLICK_OPTIMIZER", help="SGD, the default, or AdamW.")
    ] = None,
    oversample_foreground: Annotated[
        float | None,
        typer.Option(
            envvar="LESIONCLICK_OVERSAMPLE_FOREGROUND",
            help="Share of the patches that lie round a lesion; default 0.33.",
        ),
    ] = None,
    organ_weight: Annotated[
        float | None, typer.Option(envvar="LESIONCLICK_ORGAN_WEIGHT", help="Of the organs' loss; default 1.")
    ] = None,
    seed: Annotated[int | None, typer.Option(envvar="LESIONCLICK_SEED", min=0)] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the latest checkpoint.")] = False,
) -> None:
    """Trains one network by nnU-Net; prints its model folder."""
    trainer = find_trainer(variant)
    name = find_dataset(root, dataset, "preprocessed")
    plans = find_plans(root, name, plan)
    set_paths(root)
    settings: dict[str, float | str | None] = {
        "EPOCHS": epochs,
        "ITERATIONS": iterations,
        "VAL_ITERATIONS": val_iterations,
    }
    settings |= {"INITIAL_LR": initial_lr, "OPTIMIZER": optimizer, "OVERSAMPLE_FOREGROUND": oversample_foreground}
    settings |= {"ORGAN_WEIGHT": organ_weight, "SEED": seed}
    for key, value in settings.items():
        if value is not None:
            os.environ[f"LESIONCLICK_{key}"] = str(value)
    train_network(dataset, fold, trainer, plans, pretrained, stem, device, resume=resume)
    typer.echo(root / "results" / name / model_folder_name(trainer, plans))


@app.command("table")
def table_command(
    dataset: DatasetNumber,
    more: Annotated[int, typer.Argument(help="Number of the same dataset with more cases in training.")],
    start: Annotated[Path, typer.Option(help="Checkpoint without clicks that every row starts from.")],
    out: Annotated[Path, typer.Option(help="The .md file to write.")],
    root: Root,
    plan: PlanOption = Plan.published,
    folds: Annotated[str, typer.Option(help="Folds of the cross-validation, such as 0-4.")] = "0",
    rows: Annotated[
        list[str] | None, typer.Option("--row", help="One row to train now, by its name in the table; default all.")
    ] = None,
    stem: Stem = AUTOPET_STEM,
    device: Annotated[Device, typer.Option(help="Where to train and to validate.")] = Device.cuda,
    field_of_view: FieldOfViewOption = FieldOfView.body,
    mirroring: MirroringOption = Mirroring.none,
    networks: NetworksOption = Networks.all,
) -> None:
    """Trains and validates every row of the paper's table, with one budget, and writes the table.

    The environment's LESIONCLICK_EPOCHS and so on, as in `train`, set the budget. Networks and validations stay in
    ROOT/table; what is there is not made again, so that a table goes on where it stopped.
    """
    known = [setting.name for setting in SETTINGS]
    for name in rows or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="--row")
    inference = InferenceSettings(field_of_view, mirroring, networks)
    found: dict[str, list[Table]] = {}
    for setting in SETTINGS:
        number = more if setting.more_data else dataset
        tables = []
        for fold in parse_steps(folds):
            scores = root / "table" / f"{setting.variant}_{number}_fold_{fold}.csv"
            if not scores.exists() and setting.name in (rows or known):
                model = train_row(setting, number, fold, root, plan, start, stem, device)
                validate_row(model, fold, dataset, root, device, inference).write(scores)
            if scores.exists():
                tables.append(Table.read(scores))
        if tables:
            found[setting.name] = tables
    write_table(found, describe_budget(folds), out)
    typer.echo(out)


@app.command("pretrained")
def pretrained_command(
    checkpoint: Annotated[Path, typer.Argument(help="MultiTalent's, or of a training of this project.")],
    out: Annotated[Path, typer.Argument(help="The file to write, for nnU-Net's option -pretrained_weights.")],
    dataset: DatasetNumber,
    variant: Variant,
    root: Root,
    plan: PlanOption = Plan.published,
    stem: Stem = AUTOPET_STEM,
) -> None:
    """Makes a checkpoint that nnU-Net's own training command can start from."""
    plans = find_plans(root, find_dataset(root, dataset, "preprocessed"), plan)
    write_pretrained(checkpoint, plans, find_trainer(variant), out, stem)


@app.command("phantoms")
def phantoms_command(
    out: Annotated[Path, typer.Argument(help="DatasetXXX_Name, or with --container a folder of cases.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")],
    first_seed: Annotated[int, typer.Option(min=0, help="The first one's; the others' follow.")] = 0,
    more: Annotated[bool, typer.Option("--more", help="Draws from the population for more data.")] = False,
    spacing: Annotated[float, typer.Option(min=1, max=20, help="Of the voxels, mm.")] = 5.0,
    container: Annotated[
        bool, typer.Option("--container", help="Grand Challenge layout, with truth and simulated clicks.")
    ] = False,
) -> None:
    """Makes digital phantoms: whole-body PET/CT with lesion and organ labels."""
    population, prefix = (MORE, "more") if more else (BASE, "base")
    with contextlib.nullcontext(out) if container else adding_cases(out, PHANTOM_WARNING) as folder:
        for seed in tqdm(range(first_seed, first_seed + count), unit="phantom", disable=None):
            phantom = make_phantom(seed, spacing_zyx=(spacing,) * 3, population=population)
            name = f"{prefix}_{phantom.tracer.lower()}_{seed:05d}"
            if container:
                write_container_case(phantom, folder / name, simulate_official(phantom.pet_zyx, phantom.lesion_zyx))
            else:
                write_nnunet_case(phantom, folder, name)
    typer.echo(f"{out}: {count} phantoms")


@app.command("validate")
def validate_command(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    dataset: Annotated[Path, typer.Option(help="DatasetXXX_Name, in nnU-Net's raw folder.")],
    fold: Annotated[int | None, typer.Option(min=0, help="One fold's network on its validation cases.")] = None,
    splits: Annotated[Path | None, typer.Option(help="Which cases those are; DATASET/splits_final.json.")] = None,
    clicks: Annotated[Path | None, typer.Option(help="Official clicks; DATASET/clicks.")] = None,
    out: Annotated[Path | None, typer.Option(help="A .csv to write, a line a case and number of clicks.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    field_of_view: FieldOfViewOption = FieldOfView.body,
    mirroring: MirroringOption = Mirroring.none,
    networks: NetworksOption = Networks.all,
) -> None:
    """Prints Dice, false positive and false negative volume at 0, 3, 7 and 10 clicks a label.

    Cases without official clicks get simulated ones.
    """
    ensemble = Ensemble.load(model, device, folds=None if fold is None else [str(fold)])
    cases = Dataset.find(dataset)
    names: Sequence[str] = cases.names
    if fold is not None:
        names = read_fold(splits or dataset / SPLITS_FILE, names, fold)
    table = validate(ensemble, cases, names, clicks, inference=InferenceSettings(field_of_view, mirroring, networks))
    if out is not None:
        table.write(out)
    typer.echo(to_markdown(table, summarize(table)), nl=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `lesionclick-train`."""
    run(app, arguments)
