"""Command-line options that say which model computes where and how, alike in every command that predicts."""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick.inference.backend import Backend, Precision
from lesionclick.session.session import FieldOfView

ModelOption = Annotated[Path, typer.Option(envvar="LESIONCLICK_MODEL", help="A model folder.")]

DeviceOption = Annotated[str, typer.Option(envvar="LESIONCLICK_DEVICE", help="auto, cpu, cuda or cuda:N.")]

BackendOption = Annotated[
    Backend,
    typer.Option(envvar="LESIONCLICK_BACKEND", help="What computes; auto: openvino on the CPU."),
]

PrecisionOption = Annotated[
    Precision,
    typer.Option(envvar="LESIONCLICK_PRECISION", help="Of the networks; auto: the fastest there is."),
]

FieldOfViewOption = Annotated[
    FieldOfView,
    typer.Option(envvar="LESIONCLICK_FIELD_OF_VIEW", help="Where networks look."),
]

MirroringOption = Annotated[
    bool,
    typer.Option(envvar="LESIONCLICK_MIRRORING", help="Average over mirrored inputs: better, up to 8 x slower."),
]
