"""The commands `lesionclick pack` and `lesionclick check`: model folders."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from lesionclick.log import stage
from lesionclick.model.folder import ModelFolder
from lesionclick.model.pack import describe, pack, verify


class Dtype(StrEnum):
    """Number formats of packed weights, by torch's names."""

    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"


def pack_command(
    model: Annotated[Path, typer.Argument(help="A model folder with nnU-Net checkpoints.")],
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    dtype: Annotated[Dtype, typer.Option(help="Number format of the stored weights.")] = Dtype.float16,
) -> None:
    """Writes a model folder's inference weights alone: smaller, faster to load, with sha256 sums."""
    with stage("packing"):
        packed = pack(model, out, getattr(torch, dtype))
    typer.echo(describe(packed))


def check_command(model: Annotated[Path, typer.Argument(help="A model folder, packed or not.")]) -> None:
    """Verifies a model folder, every byte of its weights included, and prints what it is."""
    found = ModelFolder.read(model)
    verify(found)
    typer.echo(describe(found))
