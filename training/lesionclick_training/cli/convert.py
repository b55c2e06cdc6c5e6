"""Commands `lesionclick-train convert autopet`, `deep-psma`, `dicom` and `organs`: data into nnU-Net's layout."""

from pathlib import Path
from typing import Annotated

import typer

convert_app = typer.Typer(help="Brings PET/CT data into nnU-Net's layout.", no_args_is_help=True)

Dataset = Annotated[Path, typer.Argument(help="Folder of the dataset, DatasetXXX_Name in nnU-Net's raw folder.")]

OrganFolder = Annotated[
    Path | None, typer.Option(help="Folder with an organ label <case>.nii.gz for every case, from `convert organs`.")
]


@convert_app.command("autopet")
def autopet_command(
    release: Annotated[
        Path, typer.Argument(help="Folder of the release, with imagesTr, labelsTr, dataset.json and splits_final.json.")
    ],
    dataset: Dataset,
    official_clicks: Annotated[
        Path | None, typer.Option(help="Folder or zip with the official clicks, <case>_clicks.json for every case.")
    ] = None,
    organs: OrganFolder = None,
    copy: Annotated[
        bool, typer.Option("--copy/--link", help="Whether to copy the images of the release or to link to them.")
    ] = False,
) -> None:
    """Makes a dataset of the autoPET FDG + PSMA release."""
    from lesionclick_training.data.autopet import convert_autopet

    names = convert_autopet(release, dataset, clicks=official_clicks, organs=organs, copy=copy)
    typer.echo(f"{dataset}: {len(names)} cases")


@convert_app.command("deep-psma")
def deep_psma_command(
    challenge: Annotated[
        Path, typer.Argument(help="Folder of the challenge's training data, with train_0001 and so on.")
    ],
    dataset: Dataset,
    organs: OrganFolder = None,
) -> None:
    """Adds the DEEP-PSMA challenge's training data to a dataset, each tracer's study as a case."""
    from lesionclick_training.data.deep_psma import convert_deep_psma

    names = convert_deep_psma(challenge, dataset, organs=organs)
    typer.echo(f"{dataset}: {len(names)} cases added")


@convert_app.command("dicom")
def dicom_command(
    study: Annotated[Path, typer.Argument(help="Folder with a CT series, a PET series and DICOM SEG files.")],
    dataset: Dataset,
    name: Annotated[str | None, typer.Option(help="Name of the case; without it that of the study's folder.")] = None,
    ct_series: Annotated[
        str | None, typer.Option(help="SeriesInstanceUID of the CT, where the study has several.")
    ] = None,
    pet_series: Annotated[
        str | None, typer.Option(help="SeriesInstanceUID of the PET, where the study has several.")
    ] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="Label of a segment that is a lesion, * and ? allowed; may be repeated.")
    ] = None,
    without_lesions: Annotated[
        bool, typer.Option("--without-lesions", help="State that the study is free of lesions and has no segmentation.")
    ] = False,
    organs: Annotated[Path | None, typer.Option(help="Organ label of the study, from `convert organs`.")] = None,
) -> None:
    """Adds a DICOM study to a dataset."""
    from lesionclick_training.data.dicom import convert_dicom

    added = convert_dicom(
        study,
        dataset,
        name=name,
        ct_series=ct_series,
        pet_series=pet_series,
        segments=segment or (),
        without_lesions=without_lesions,
        organs=organs,
    )
    typer.echo(f"{dataset}: {added} added")


@convert_app.command("organs")
def organs_command(
    ct: Annotated[Path, typer.Argument(help="CT on whose grid the label is wanted.")],
    out: Annotated[Path, typer.Argument(help="File (.nii.gz) of the organ label to write.")],
    total: Annotated[
        Path, typer.Option(help='Output of TotalSegmentator\'s task "total": a multilabel file, or a folder of masks.')
    ],
    head_glands: Annotated[
        Path | None,
        typer.Option(help='Output of its task "head_glands_cavities", likewise; without it the label has no glands.'),
    ] = None,
) -> None:
    """Makes an organ label, as the other commands take it, out of TotalSegmentator's output."""
    from lesionclick.case.images import read_image
    from lesionclick_training.data.organs import label_organs, write_organs

    reference = read_image(ct)
    write_organs(out, label_organs(reference, total, head_glands), reference)
    typer.echo(out)
