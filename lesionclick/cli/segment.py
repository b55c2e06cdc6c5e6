"""The command `lesionclick segment`: any PET/CT study in; masks, DICOM objects and a table of lesions out."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lesionclick import log
from lesionclick.case.results import DicomSegments, OutputFormat
from lesionclick.cli.options import (
    BackendOption,
    ComponentFloorOption,
    DeviceOption,
    FieldOfViewOption,
    LesionFreeGateOption,
    MirroringOption,
    ModelOption,
    NetworksOption,
    ObeyClicksOption,
    PrecisionOption,
)
from lesionclick.cli.suv_options import (
    DecayCorrectionOption,
    DoseOption,
    HalfLifeOption,
    HeightOption,
    InjectionTimeOption,
    ScanTimeOption,
    SexOption,
    UnitsOption,
    WeightOption,
    suv_overrides,
)
from lesionclick.inference.backend import Backend, Precision
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings, PostProcessing

logger = logging.getLogger(__name__)

BUNDLED_MODEL = Path(__file__).resolve().parents[2] / "resources" / "model"


class Grid(StrEnum):
    """Whose voxels a mask has."""

    pet = "pet"
    ct = "ct"


def segment_command(
    study: Annotated[
        Path | None,
        typer.Argument(
            metavar="INPUT",
            help="Folder or zip of one study: DICOM, Grand Challenge's layout, nnU-Net's _0000 and _0001, a study of "
            "the autoPET release, or a CT and a PET that their names tell apart.",
        ),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results; must be new or empty.")],
    ct: Annotated[Path | None, typer.Option(help="In place of INPUT: file of the CT (HU). Needs --pet.")] = None,
    pet: Annotated[Path | None, typer.Option(help="In place of INPUT: file of the PET (SUV). Needs --ct.")] = None,
    clicks: Annotated[
        list[Path] | None,
        typer.Option(
            help="File of clicks: the challenge's JSON (voxels of the PET) or 3D Slicer's .mrk.json (mm); may be given "
            "several times. Without it, those that lie beside the images."
        ),
    ] = None,
    no_clicks: Annotated[bool, typer.Option("--no-clicks", help="Go by no clicks at all.")] = False,
    ct_series: Annotated[
        str | None, typer.Option(help="UID or number of the DICOM series to take as CT, where several can be meant.")
    ] = None,
    pet_series: Annotated[str | None, typer.Option(help="Likewise as PET.")] = None,
    grid: Annotated[Grid, typer.Option(help="Whose voxels the mask has, where CT and PET differ.")] = Grid.pet,
    formats: Annotated[
        str | None,
        typer.Option(
            help=f"Formats of the mask, with commas between: {', '.join(OutputFormat)}. Without it nii.gz, and "
            "dicom-seg where the study is DICOM."
        ),
    ] = None,
    dicom_segments: Annotated[
        DicomSegments, typer.Option(help="Segments of the dicom-seg: one for each lesion, or a single one for all.")
    ] = DicomSegments.per_lesion,
    organs: Annotated[
        bool,
        typer.Option(
            "--organs",
            help="Also find organs (organs.*), and say of each lesion which it is in; by models that know them.",
        ),
    ] = False,
    mip: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Moving picture to write as well: the PET's projection all around, .gif or .webp."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace former results in the folder.")] = False,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "auto",
    backend: BackendOption = Backend.auto,
    precision: PrecisionOption = Precision.auto,
    field_of_view: FieldOfViewOption = DEFAULT_SETTINGS.field_of_view,
    mirroring: MirroringOption = DEFAULT_SETTINGS.mirroring,
    networks: NetworksOption = DEFAULT_SETTINGS.networks,
    lesion_free_gate: LesionFreeGateOption = 0.0,
    component_floor: ComponentFloorOption = 0.0,
    obey_clicks: ObeyClicksOption = False,
    weight: WeightOption = None,
    dose: DoseOption = None,
    injection_time: InjectionTimeOption = None,
    scan_time: ScanTimeOption = None,
    half_life: HalfLifeOption = None,
    decay_correction: DecayCorrectionOption = None,
    units: UnitsOption = None,
    height: HeightOption = None,
    sex: SexOption = None,
) -> None:
    """Segments the lesions of a PET/CT study and measures them.

    The folder of results holds the mask (lesions.*), the table of lesions (lesions.csv, lesions.json) and how they were
    made (report.json), and a page of all that with pictures (report.html). It appears when all is done.
    """
    files = [path for path in (ct, pet) if path is not None]
    if len(files) == 1 or (study is None) == (not files):
        raise typer.BadParameter("expected INPUT, or both --ct and --pet")
    if clicks and no_clicks:
        raise typer.BadParameter("expected one of --clicks and --no-clicks")
    asked = None if formats is None else parse_formats(formats)
    if dicom_segments == DicomSegments.single and asked and OutputFormat.dicom_sr in asked:
        raise typer.BadParameter("a dicom-sr refers to a segment for each lesion", param_hint="--dicom-segments single")

    import dataclasses
    import datetime

    from lesionclick.case.joining import mask_on_grid
    from lesionclick.case.results import place_among_results, results_folder, write_masks, write_record
    from lesionclick.checks.plausibility import check_result, run_checks
    from lesionclick.cli.loading import load_ensemble
    from lesionclick.dicom.study import StudyChoices, open_files, open_study
    from lesionclick.report import lesion_files
    from lesionclick.report.html import page_of, write_html
    from lesionclick.report.measurements import measure_lesions
    from lesionclick.report.mip_rotating import require_mip, write_rotating_mip
    from lesionclick.report.summary import summarize

    if mip is not None:
        require_mip(mip)
        place_among_results(mip, out, out)  # refuses before anything is computed
    given = suv_overrides(weight, dose, injection_time, scan_time, half_life, decay_correction, units, height, sex)
    choices = StudyChoices(ct_series, pet_series, given, tuple(clicks or ()), not no_clicks, grid == Grid.ct)
    with results_folder(out, overwrite) as folder:
        with log.stage("reading the study"):
            opened = open_study(study, choices) if study is not None else open_files(files[0], files[1], choices)
        logger.info("found: %s", opened.found)
        case = opened.case
        logger.info("case: %s, %s voxels, %d clicks", case.name, case.geometry.size, len(case.clicks))
        wanted = opened.formats(asked)
        ensemble = load_ensemble(model, device, backend, precision)
        from lesionclick.model.check import fingerprint  # torch takes seconds to load, and is loaded by now
        from lesionclick.session.session import Session

        with log.stage("checksum of the model"):
            model_sum = fingerprint(ensemble.model)
        post_processing = PostProcessing(lesion_free_gate, component_floor, obey_clicks)
        settings = InferenceSettings(field_of_view, mirroring, networks, post_processing)
        wants_clicks = ensemble.takes_clicks and not no_clicks
        spacing_zyx = ensemble.model.preprocessing.spacing_zyx
        doubts = run_checks(case, None, spacing_zyx, model_takes_clicks=wants_clicks)
        for sentence in (*opened.warnings, *(doubt.sentence for doubt in doubts)):
            logger.warning(sentence)
        session = Session(ensemble, case, settings, tile_cache_bytes=0)
        organs_zyx = session.predict_organs() if organs else None
        mask_zyx = session.predict().mask
        with log.stage("measuring"):
            table = measure_lesions(mask_zyx, case.pet_zyx, case.geometry, organs_zyx)
            of_mask = check_result(case, mask_zyx, doubts)
        for warning in of_mask:
            logger.warning(warning.sentence)
        warnings = doubts + of_mask
        with log.stage("writing"):
            target = opened.ct_geometry if grid == Grid.ct else case.geometry
            for name, labels_zyx in (("lesions", mask_zyx), ("organs", organs_zyx)):
                if labels_zyx is not None:
                    write_masks(name, mask_on_grid(labels_zyx, case.geometry, target), target, wanted, folder)
            lesion_files.write_csv(table, folder / "lesions.csv")
            lesion_files.write_json(table, folder / "lesions.json")
            created = datetime.datetime.now()
            if opened.pet is not None:
                from lesionclick.dicom.result import LesionResult, ModelIdentity
                from lesionclick.dicom.write_objects import write_objects

                identity = ModelIdentity(model.resolve().name, model_sum, ensemble.model.description)
                places = {lesion.number: lesion.organ for lesion in table.lesions if lesion.organ}
                result = LesionResult(opened.pet, table.numbers_zyx, identity, created, bool(case.clicks), places)
                write_objects(result, table.lesions, wanted, folder, dicom_segments)
            record = {
                "created": created.isoformat(timespec="seconds"),
                "input": [str(path) for path in (study, ct, pet) if path is not None],
                "found": opened.found,
                "case": case.name,
                "grid": grid,
                "clicks": [dataclasses.asdict(click) for click in case.clicks],
                "model": {"path": str(model), "sha256": model_sum, "description": ensemble.model.description},
                "engine": str(ensemble.engine),
                "suv": opened.suv,
                "settings": dataclasses.asdict(settings),
                "notes": list(opened.warnings),
                "warnings": [warning.to_json() for warning in warnings],
            }
            of_model = [ensemble.model.description] if ensemble.model.description else []
            sentences = [*of_model, *opened.warnings, *(warning.sentence for warning in warnings)]
            page = page_of(case.name, table, record, sentences)
            write_html(page, case, table.numbers_zyx, folder / "report.html")
            if mip is not None:
                write_rotating_mip(case, table.numbers_zyx, place_among_results(mip, out, folder))
            write_record(record, folder)
    typer.echo(summarize(table))
    typer.echo(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def parse_formats(text: str) -> tuple[OutputFormat, ...]:
    """Formats from a list such as "nii.gz,dicom-seg", none twice.

    Raises:
        typer.BadParameter: the text is no such list.
    """
    names = [name.strip().lower().removeprefix(".") for name in text.split(",")]
    unknown = [name for name in names if name not in set(OutputFormat)]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(OutputFormat)}", param_hint="--formats")
    return tuple(OutputFormat(name) for name in dict.fromkeys(names))
