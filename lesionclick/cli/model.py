"""The commands `lesionclick pack` and `lesionclick check`: model folders."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lesionclick.log import stage


class NumberFormat(StrEnum):
    """Number formats of packed weights, by torch's names."""

    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"


def pack_command(
    model: Annotated[Path, typer.Argument(help="The model folder to pack.")],
    out: Annotated[Path, typer.Argument(help="The folder to write, which must not exist yet.")],
    dtype: Annotated[NumberFormat, typer.Option(help="Number format of the stored weights.")] = NumberFormat.float16,
) -> None:
    """Writes a model folder with nothing but the weights that inference needs: smaller, with sha256 sums."""
    import torch

    from lesionclick.model.check import describe
    from lesionclick.model.pack import pack

    with stage("packing"):
        packed = pack(model, out, getattr(torch, dtype))
    typer.echo(describe(packed))


def check_command(model: Annotated[Path, typer.Argument(help="The model folder to check, packed or not.")]) -> None:
    """Verifies every byte of a model folder and prints what it is."""
    from lesionclick.model.check import describe, verify
    from lesionclick.model.folder import ModelFolder

    found = ModelFolder.read(model)
    verify(found)
    typer.echo(describe(found))
