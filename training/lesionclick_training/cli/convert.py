"""Commands `lesionclick-train convert ...`: data into nnU-Net's layout."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

convert_app = typer.Typer(help="Brings PET/CT data into nnU-Net's layout.", no_args_is_help=True)

Dataset = Annotated[Path, typer.Argument(help="Folder of the dataset, DatasetXXX_Name in nnU-Net's raw folder.")]

OrganFolder = Annotated[
    Path | None,
    typer.Option(help="Folder with organ labels <case>.nii.gz; organs of a case without one are unknown."),
]

Extend = Annotated[
    Path | None,
    typer.Option(help="Smaller dataset: DATASET is made of its cases and splits, the new ones go to training."),
]

AnnotatedMargin = Annotated[
    float, typer.Option(min=0, help="mm around the annotated segments that readers looked at, too.")
]


class Source(StrEnum):
    """Who made organ labels, as `data.organs.OrganSource` has it; here so that --help stays quick."""

    OURS = "convert-organs"
    PUBLISHED = "published"


class Version(StrEnum):
    """Versions of TotalSegmentator whose numbers are known."""

    V1 = "1"
    V2 = "2"


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
    organ_source: Annotated[
        Source, typer.Option(help="Who made these: `convert organs`, or the authors of the autopet-3 submission.")
    ] = Source.OURS,
    copy: Annotated[
        bool, typer.Option("--copy/--link", help="Whether to copy the images of the release or to link to them.")
    ] = False,
) -> None:
    """Makes a dataset of the autoPET FDG + PSMA release."""
    from lesionclick_training.data.autopet import convert_autopet
    from lesionclick_training.data.organs import OrganSource

    names = convert_autopet(
        release,
        dataset,
        clicks=official_clicks,
        organs=organs,
        organ_source=OrganSource(organ_source),
        copy=copy,
    )
    typer.echo(f"{dataset}: {len(names)} cases")


@convert_app.command("deep-psma")
def deep_psma_command(
    challenge: Annotated[
        Path, typer.Argument(help="Folder of the challenge's training data, with train_0001 and so on.")
    ],
    dataset: Dataset,
    organs: OrganFolder = None,
    extend: Extend = None,
) -> None:
    """Adds the DEEP-PSMA challenge's training data to a dataset, each tracer's study as a case."""
    from lesionclick_training.data.deep_psma import convert_deep_psma

    names = convert_deep_psma(challenge, dataset, organs=organs, extend=extend)
    typer.echo(f"{dataset}: {len(names)} cases added")


@convert_app.command("cases")
def cases_command(
    folder: Annotated[Path, typer.Argument(help="Folder of cases in the container's layout, each with a truth.mha.")],
    dataset: Dataset,
    cross_validate: Annotated[
        bool,
        typer.Option(
            "--cross-validate",
            help="Split the new cases over the folds, each to be validated on in one and trained on in the others; "
            "cases that were there are trained on alone. Without it the new ones are.",
        ),
    ] = False,
    extend: Extend = None,
    description: Annotated[
        str, typer.Option(help="What the cases are; models trained on the dataset say it at every run.")
    ] = "",
) -> None:
    """Adds cases in the container's layout to a dataset; their organs are unknown."""
    from lesionclick_training.data.cases import convert_cases

    names = convert_cases(folder, dataset, cross_validate=cross_validate, extend=extend, description=description)
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
    seg_series: Annotated[
        list[str] | None,
        typer.Option(help="SeriesInstanceUID of a segmentation, where several have the same label; may be repeated."),
    ] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="Label of a segment that is a lesion, * and ? allowed; may be repeated.")
    ] = None,
    annotated_segment: Annotated[
        list[str] | None,
        typer.Option(
            help="Label of a segment where readers looked for lesions, likewise; outside of them lesions are unknown."
        ),
    ] = None,
    annotated_margin: AnnotatedMargin = 10.0,
    without_lesions: Annotated[
        bool, typer.Option("--without-lesions", help="State that the study is free of lesions.")
    ] = False,
    organs: Annotated[Path | None, typer.Option(help="Organ label of the study, from `convert organs`.")] = None,
    extend: Extend = None,
) -> None:
    """Adds a DICOM study to a dataset."""
    from lesionclick_training.data.dicom import DicomStudy, convert_dicom

    chosen = DicomStudy(
        study,
        name=name,
        ct_series=ct_series,
        pet_series=pet_series,
        seg_series=tuple(seg_series or ()),
        segments=tuple(segment or ()),
        annotated_segments=tuple(annotated_segment or ()),
        annotated_margin=annotated_margin,
        without_lesions=without_lesions,
        organs=organs,
    )
    typer.echo(f"{dataset}: {convert_dicom(chosen, dataset, extend=extend)} added")


@convert_app.command("dicom-batch")
def dicom_batch_command(
    table: Annotated[Path, typer.Argument(help="CSV with a study a row; docs/data.md has the columns.")],
    dataset: Dataset,
    annotated_margin: AnnotatedMargin = 10.0,
    extend: Extend = None,
) -> None:
    """Adds the DICOM studies of a table to a dataset; goes on where it stopped."""
    from lesionclick_training.data.dicom_table import convert_dicom_table

    result = convert_dicom_table(table, dataset, annotated_margin=annotated_margin, extend=extend)
    typer.echo(f"{dataset}: {len(result.added)} cases added, {len(result.skipped)} were there")
    result.require_success(table)


@convert_app.command("organs")
def organs_command(
    ct: Annotated[Path, typer.Argument(help="CT on whose grid the label is wanted, or a folder of CTs.")],
    out: Annotated[Path, typer.Argument(help="File (.nii.gz) of the organ label to write; for a folder a folder.")],
    total: Annotated[
        Path,
        typer.Option(
            help='Output of TotalSegmentator\'s task "total": a multilabel file or a folder of masks; for a folder of '
            "CTs a folder of these, <case>.nii.gz or <case>."
        ),
    ],
    head_glands: Annotated[
        Path | None,
        typer.Option(help='Output of its task "head_glands_cavities", likewise; without it the glands are unknown.'),
    ] = None,
    version: Annotated[
        Version | None, typer.Option(help="TotalSegmentator's version; without it, it is told from the output.")
    ] = None,
) -> None:
    """Makes organ labels, as the other commands take them, out of TotalSegmentator's output."""
    from lesionclick_training.data.organ_batch import label_file, label_folder

    number = None if version is None else int(version)
    if ct.is_dir():
        result = label_folder(ct, out, total, head_glands, number)
        typer.echo(f"{out}: {len(result.written)} labels written, {len(result.skipped)} were there")
        result.require_success(ct)
    else:
        label_file(ct, out, total, head_glands, number)
        typer.echo(out)
