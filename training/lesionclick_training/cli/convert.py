"""The command line of the converters: `lesionclick-train convert autopet | deep-psma | dicom | organs`."""

from pathlib import Path
from typing import Annotated

import typer

from lesionclick.case.images import read_image
from lesionclick_training.data import organs as organ_labels
from lesionclick_training.data.autopet import convert_autopet
from lesionclick_training.data.deep_psma import convert_deep_psma
from lesionclick_training.data.dicom import convert_dicom

convert_app = typer.Typer(help="Brings PET/CT data into nnU-Net's layout.", no_args_is_help=True)

Dataset = Annotated[Path, typer.Argument(help="DatasetXXX_Name, in nnU-Net's raw folder.")]

OrganFolder = Annotated[
    Path | None, typer.Option(help="A folder with <case>.nii.gz for every case, from `convert organs`.")
]


@convert_app.command("autopet")
def autopet_command(
    release: Annotated[Path, typer.Argument(help="The release: imagesTr, labelsTr, dataset.json, splits_final.json.")],
    dataset: Dataset,
    clicks: Annotated[Path | None, typer.Option(help="The official clicks, a folder or a zip.")] = None,
    organs: OrganFolder = None,
    copy: Annotated[bool, typer.Option("--copy/--link", help="Copies the images, or links to the release's.")] = False,
) -> None:
    """Makes a dataset of the autoPET FDG + PSMA release."""
    names = convert_autopet(release, dataset, clicks=clicks, organs=organs, copy=copy)
    typer.echo(f"{dataset}: {len(names)} cases")


@convert_app.command("deep-psma")
def deep_psma_command(
    challenge: Annotated[Path, typer.Argument(help="The challenge's training data: train_0001 and so on.")],
    dataset: Dataset,
    organs: OrganFolder = None,
) -> None:
    """Adds the DEEP-PSMA challenge's training data to a dataset, each tracer's study as a case."""
    names = convert_deep_psma(challenge, dataset, organs=organs)
    typer.echo(f"{dataset}: {len(names)} cases added")


@convert_app.command("dicom")
def dicom_command(
    study: Annotated[Path, typer.Argument(help="A folder with a CT series, a PET series and DICOM SEG files.")],
    dataset: Dataset,
    name: Annotated[str | None, typer.Option(help="Of the case; by default the study folder's.")] = None,
    ct_series: Annotated[str | None, typer.Option(help="SeriesInstanceUID, where there are several.")] = None,
    pet_series: Annotated[str | None, typer.Option(help="SeriesInstanceUID, where there are several.")] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="Label of a segment that is a lesion, * and ? allowed; may be repeated.")
    ] = None,
    without_lesions: Annotated[
        bool, typer.Option("--without-lesions", help="The study has no segmentation as it has no lesions.")
    ] = False,
    organs: Annotated[Path | None, typer.Option(help="The study's organ label, from `convert organs`.")] = None,
) -> None:
    """Adds a DICOM study to a dataset."""
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
    ct: Annotated[Path, typer.Argument(help="The CT on whose grid the label is wanted.")],
    out: Annotated[Path, typer.Argument(help="The organ label to write, .nii.gz.")],
    total: Annotated[Path, typer.Option(help='TotalSegmentator\'s task "total": a multilabel file or a folder.')],
    head_glands: Annotated[
        Path | None, typer.Option(help='Its task "head_glands_cavities", likewise; without it there are no glands.')
    ] = None,
) -> None:
    """Makes our organ label out of TotalSegmentator's output."""
    reference = read_image(ct)
    organ_labels.write_organs(out, organ_labels.label_organs(reference, total, head_glands), reference)
    typer.echo(out)
