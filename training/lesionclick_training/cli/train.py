"""Commands `lesionclick-train preprocess`, `train` and `pretrained`: from a dataset to a network."""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick_training.augmentation.choices import Augmentation, ClickCounts
from lesionclick_training.cli.options import (
    DatasetNumber,
    DeviceOption,
    NumGPUsOption,
    RootOption,
    SizeOption,
    StemOption,
    VariantOption,
)
from lesionclick_training.nnunet.job import AUTOPET_STEM, Device, TrainingJob
from lesionclick_training.nnunet.network_sizes import NetworkSize, PETNormalization
from lesionclick_training.nnunet.settings import Optimizer, TrainingSettings, variable_of
from lesionclick_training.nnunet.workspace import Workspace

DEFAULTS = TrainingSettings()


def _check_fold(fold: str) -> str:
    if fold != "all" and not fold.isdecimal():
        raise typer.BadParameter(f"{fold!r} is neither a number nor all")
    return fold if fold == "all" else str(int(fold))  # nnU-Net names folders after the number


def preprocess_command(
    dataset: DatasetNumber,
    root: RootOption,
    size: SizeOption = NetworkSize.published,
    plans_of: Annotated[
        int | None,
        typer.Option(help="Number of a dataset whose plans are taken, so that networks of both form one ensemble."),
    ] = None,
    pet_normalization: Annotated[
        PETNormalization,
        typer.Option(
            help="Numbers that the PET is normalized by: the lesions' own, or fixed ones that keep contrast at low"
            " uptake. They take the place of those before: to have both, give each a root of its own."
        ),
    ] = PETNormalization.published,
    processes: Annotated[int, typer.Option(min=1, help="Number of cases to preprocess at a time.")] = 2,
) -> None:
    """Takes a dataset's fingerprint, writes plans and preprocesses its cases, by nnU-Net; prints the plans' file."""
    from lesionclick_training.nnunet.preprocessing import preprocess

    plans = preprocess(
        Workspace(root), dataset, size, plans_of=plans_of, pet_normalization=pet_normalization, processes=processes
    )
    typer.echo(plans)


def train_command(
    dataset: DatasetNumber,
    fold: Annotated[
        str,
        typer.Argument(
            callback=_check_fold, help="Number of a fold of the cross-validation, or all to train on every case."
        ),
    ],
    variant: VariantOption,
    root: RootOption,
    size: SizeOption = NetworkSize.published,
    pretrained: Annotated[
        Path | None, typer.Option(help="Checkpoint to start from: MultiTalent's, or of a training of this project.")
    ] = None,
    stem: StemOption = AUTOPET_STEM,
    device: DeviceOption = Device.cuda,
    num_gpus: NumGPUsOption = 1,
    epochs: Annotated[
        int, typer.Option(envvar=variable_of("epochs"), min=1, help="Number of epochs.")
    ] = DEFAULTS.epochs,
    iterations: Annotated[
        int, typer.Option(envvar=variable_of("iterations"), min=1, help="Training iterations an epoch.")
    ] = DEFAULTS.iterations,
    val_iterations: Annotated[
        int, typer.Option(envvar=variable_of("val_iterations"), min=1, help="Validation iterations an epoch.")
    ] = DEFAULTS.val_iterations,
    initial_lr: Annotated[
        float,
        typer.Option(
            envvar=variable_of("initial_lr"), help="Learning rate at the start; from fresh weights 0.01 is usual."
        ),
    ] = DEFAULTS.initial_lr,
    optimizer: Annotated[
        Optimizer, typer.Option(envvar=variable_of("optimizer"), help="Optimizer of the weights.")
    ] = DEFAULTS.optimizer,
    oversample_foreground: Annotated[
        float,
        typer.Option(
            envvar=variable_of("oversample_foreground"), help="Share of the patches that lie around a lesion."
        ),
    ] = DEFAULTS.oversample_foreground,
    organ_weight: Annotated[
        float,
        typer.Option(
            envvar=variable_of("organ_weight"), help="Weight of the organs' loss, where that of the lesions has 1."
        ),
    ] = DEFAULTS.organ_weight,
    lesion_heads: Annotated[
        Path | None,
        typer.Option(
            envvar=variable_of("lesion_heads"),
            help="Checkpoint to take the lesion heads from; needless where --pretrained names one of this project.",
        ),
    ] = DEFAULTS.lesion_heads,
    seed: Annotated[
        int | None,
        typer.Option(envvar=variable_of("seed"), min=0, help="Seed of weights, patches, augmentation and clicks."),
    ] = DEFAULTS.seed,
    click_offset: Annotated[
        int,
        typer.Option(envvar=variable_of("click_offset"), min=0, help="Voxels an axis that a click is moved at most."),
    ] = DEFAULTS.click_offset,
    click_counts: Annotated[
        ClickCounts,
        typer.Option(
            envvar=variable_of("click_counts"),
            help="How many clicks of a label a patch gets: few more often than many, or 0 to 10 alike.",
        ),
    ] = DEFAULTS.click_counts,
    click_dropout: Annotated[
        float,
        typer.Option(envvar=variable_of("click_dropout"), help="Share of the patches that show no click at all."),
    ] = DEFAULTS.click_dropout,
    augmentation: Annotated[
        Augmentation,
        typer.Option(
            envvar=variable_of("augmentation"),
            help="What is done to images: as published, or with strong changes of uptake, blur and noise on top.",
        ),
    ] = DEFAULTS.augmentation,
    balance_components: Annotated[
        bool,
        typer.Option(
            "--balance-components",
            envvar=variable_of("balance_components"),
            help="Patches that lie around a lesion lie around small ones as often as around large ones.",
        ),
    ] = DEFAULTS.balance_components,
    hot_background: Annotated[
        float,
        typer.Option(
            envvar=variable_of("hot_background"),
            help="Share of the patches around lesions that lie around high uptake that is no lesion instead.",
        ),
    ] = DEFAULTS.hot_background,
    repeat_cases: Annotated[
        str | None,
        typer.Option(
            envvar=variable_of("repeat_cases"),
            help="Cases that are drawn more often: how their names begin and how often each counts, such as sts=4.",
        ),
    ] = DEFAULTS.repeat_cases,
    lesion_free_loss: Annotated[
        float,
        typer.Option(
            envvar=variable_of("lesion_free_loss"),
            help="Weight of a penalty of lesions that are made up in patches without any; 0 for none.",
        ),
    ] = DEFAULTS.lesion_free_loss,
    corrective_clicks: Annotated[
        float,
        typer.Option(
            envvar=variable_of("corrective_clicks"),
            help="Share of the patches whose clicks are drawn from the network's own errors, in up to 3 rounds.",
        ),
    ] = DEFAULTS.corrective_clicks,
    contour_variation: Annotated[
        float,
        typer.Option(
            envvar=variable_of("contour_variation"),
            help="Share of the patches with lesions drawn as another reader might have, and clicks on these contours.",
        ),
    ] = DEFAULTS.contour_variation,
    scribbles: Annotated[
        float,
        typer.Option(
            envvar=variable_of("scribbles"), help="Share of the patches in which lines take the place of clicks."
        ),
    ] = DEFAULTS.scribbles,
    teacher: Annotated[
        Path | None,
        typer.Option(
            envvar=variable_of("teacher"),
            help="Model folder of an ensemble, of the same plans, that this one network is to become like; the"
            " training then writes to ROOT/distilled in place of ROOT/results.",
        ),
    ] = DEFAULTS.teacher,
    teacher_weight: Annotated[
        float,
        typer.Option(
            envvar=variable_of("teacher_weight"),
            help="Share of the lesions' loss that is against the teacher; the rest is against the labels.",
        ),
    ] = DEFAULTS.teacher_weight,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the fold's last checkpoint where there is one; without one the training starts as it does"
            " without this option, from --pretrained too.",
        ),
    ] = False,
) -> None:
    """Trains one network by nnU-Net; prints its model folder."""
    from lesionclick_training.nnunet.training import train_network

    settings = TrainingSettings(
        epochs=epochs,
        iterations=iterations,
        val_iterations=val_iterations,
        initial_lr=initial_lr,
        optimizer=optimizer,
        oversample_foreground=oversample_foreground,
        organ_weight=organ_weight,
        lesion_heads=lesion_heads,
        seed=seed,
        click_offset=click_offset,
        click_counts=click_counts,
        click_dropout=click_dropout,
        augmentation=augmentation,
        balance_components=balance_components,
        hot_background=hot_background,
        repeat_cases=repeat_cases,
        lesion_free_loss=lesion_free_loss,
        corrective_clicks=corrective_clicks,
        contour_variation=contour_variation,
        scribbles=scribbles,
        teacher=teacher,
        teacher_weight=teacher_weight,
    )
    job = TrainingJob(dataset, fold, variant, size, device, pretrained, stem, num_gpus)
    # a folder of its own: the student's fold would join the teacher's, or take the place of one
    workspace = Workspace(root) if teacher is None else Workspace(root, results_name="distilled")
    typer.echo(train_network(workspace, job, settings, resume=resume))


def pretrained_command(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of MultiTalent, or of a training of this project.")],
    out: Annotated[Path, typer.Argument(help="File (.pth) to write, for nnU-Net's option -pretrained_weights.")],
    dataset: DatasetNumber,
    variant: VariantOption,
    root: RootOption,
    size: SizeOption = NetworkSize.published,
    stem: StemOption = AUTOPET_STEM,
) -> None:
    """Makes a checkpoint that nnU-Net's own training command can start from."""
    from lesionclick_training.nnunet.pretrained import write_pretrained
    from lesionclick_training.nnunet.training import find_trainer

    plans = Workspace(root).find_plans(dataset, size)
    write_pretrained(checkpoint, plans, find_trainer(variant), out, stem)
