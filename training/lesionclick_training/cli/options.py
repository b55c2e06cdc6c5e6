"""Command-line options that say which network is trained where, alike in every command that trains."""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick_training.nnunet.job import Device
from lesionclick_training.nnunet.network_sizes import NetworkSize
from lesionclick_training.nnunet.variants import Variant

DatasetNumber = Annotated[int, typer.Argument(help="Number of the dataset, the XXX of its folder DatasetXXX_Name.")]

RootOption = Annotated[
    Path,
    typer.Option(envvar="LESIONCLICK_ROOT", help="Folder of nnU-Net's folders raw, preprocessed and results."),
]

SizeOption = Annotated[
    NetworkSize,
    typer.Option("--plan", help="Size of the network: as published; small (5 mm) or fine (4 mm), without a GPU."),
]

VariantOption = Annotated[Variant, typer.Option(help="Way of drawing and showing clicks: a row of the paper's table.")]

StemOption = Annotated[
    int, typer.Option(help="Number of the dataset whose stem is taken from a MultiTalent checkpoint.")
]

DeviceOption = Annotated[Device, typer.Option(help="Device to train on.")]

NumGPUsOption = Annotated[
    int, typer.Option("--num-gpus", min=1, help="Number of GPUs to split each batch of two patches over: 1 or 2.")
]
