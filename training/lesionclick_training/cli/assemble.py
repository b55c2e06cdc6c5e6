"""The command `lesionclick-train assemble`: several trainings become one model folder."""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick.cli.model import NumberFormat
from lesionclick.log import stage


def assemble_command(
    trainings: Annotated[
        list[Path], typer.Argument(help="Model folders of one plan, packed or not, in the order of their networks.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write, which must not exist yet.")],
    pack: Annotated[bool, typer.Option("--pack", help="Write a packed folder, as `lesionclick pack` does.")] = False,
    mean: Annotated[
        bool,
        typer.Option(
            "--mean",
            help="Write one network with the mean of all weights, for networks whose trainings began from one network.",
        ),
    ] = False,
    dtype: Annotated[
        NumberFormat, typer.Option(help="Number format of the stored weights, with --pack.")
    ] = NumberFormat.float16,
) -> None:
    """Puts the networks of several trainings, or their mean, into one model folder, as fold_0, fold_1 and so on."""
    import torch

    from lesionclick.model.check import describe
    from lesionclick_training.nnunet.assemble import assemble

    with stage("assembling"):
        model = assemble(trainings, out, getattr(torch, dtype) if pack else None, mean=mean)
    typer.echo(describe(model))
