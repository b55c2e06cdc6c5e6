"""Options of the command line that say which model computes where and how, and what becomes of masks.

They are alike in every command that predicts.
"""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.settings import FieldOfView, Mirroring, Networks

ModelOption = Annotated[
    Path, typer.Option(envvar="LESIONCLICK_MODEL", help="Folder of the model, packed or as nnU-Net trained it.")
]

DeviceOption = Annotated[
    str, typer.Option(envvar="LESIONCLICK_DEVICE", help="Device to compute on: auto, cpu, cuda or cuda:N.")
]

BackendOption = Annotated[
    Backend,
    typer.Option(
        envvar="LESIONCLICK_BACKEND", help="Library that computes networks; auto is openvino on the CPU, else torch."
    ),
]

PrecisionOption = Annotated[
    Precision,
    typer.Option(envvar="LESIONCLICK_PRECISION", help="Number format of the networks; auto is the fastest there is."),
]

FieldOfViewOption = Annotated[
    FieldOfView,
    typer.Option(
        envvar="LESIONCLICK_FIELD_OF_VIEW",
        help="Where networks look: at the body and around every click, or at the full field of view.",
    ),
]

MirroringOption = Annotated[
    Mirroring,
    typer.Option(
        envvar="LESIONCLICK_MIRRORING",
        help="Which tiles networks also see mirrored, up to 8 times as slow: none, those in which they may have found "
        "something (adaptive), or all.",
    ),
]

NetworksOption = Annotated[
    Networks,
    typer.Option(
        envvar="LESIONCLICK_NETWORKS",
        help="Which tiles all networks see: those in which the first two may have found something (adaptive), or all.",
    ),
]

LesionFreeGateOption = Annotated[
    float,
    typer.Option(
        envvar="LESIONCLICK_LESION_FREE_GATE",
        min=0,
        help="ml; a mask of less is empty where no tumor click is given. 0 for no gate.",
    ),
]

ComponentFloorOption = Annotated[
    float,
    typer.Option(
        envvar="LESIONCLICK_COMPONENT_FLOOR",
        min=0,
        max=1,
        help="Least mean probability of a component of the mask; others are removed, but for those with a tumor click. "
        "Up to 0.5 none is.",
    ),
]

ObeyClicksOption = Annotated[
    bool,
    typer.Option(
        "--obey-clicks/--no-obey-clicks",
        envvar="LESIONCLICK_OBEY_CLICKS",
        help="Whether a missed tumor click is marked with the region that its probability supports, and what a "
        "background click lies in is removed.",
    ),
]

_CLUSTER = "Many machines: needs the extra cluster, see docs/cluster.md"

RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Ray cluster to work on: HOST:PORT of its head, auto for the one that this machine is part of, local for "
        "all GPUs or cores of this machine.",
        rich_help_panel=_CLUSTER,
    ),
]

WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Workers at most; without it as many as fit.", rich_help_panel=_CLUSTER),
]

GpusPerWorkerOption = Annotated[
    float | None,
    typer.Option(
        min=0, help="GPUs of a worker, or a part of one; without it 1 where there are any.", rich_help_panel=_CLUSTER
    ),
]

CpusPerWorkerOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Cores of a worker; without it a machine's, or a GPU's part of them.", rich_help_panel=_CLUSTER
    ),
]
