"""Organ labels of all cases of a folder, out of TotalSegmentator's output for each; goes on where it stopped."""

from dataclasses import dataclass
from pathlib import Path

from lesionclick.case.dataset import CT_SUFFIX, FILE_ENDING
from lesionclick.case.images import read_image
from lesionclick.errors import CaseError
from lesionclick.log import Progress, logger
from lesionclick_training.data.organs import label_organs, write_organs


@dataclass(frozen=True)
class OrganBatch:
    """What became of the cases, by name.

    Attributes:
        written: labels that are new.
        skipped: labels that were there before.
        failed: cases without a label; the log says why.
    """

    written: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: tuple[str, ...]

    def require_success(self, source: Path) -> None:
        """Raises CaseError with the names of the cases that failed, if any did."""
        if self.failed:
            count = len(self.written) + len(self.skipped) + len(self.failed)
            raise CaseError(
                f"{source}: {len(self.failed)} of {count} cases have no label, see above: {', '.join(self.failed)}"
            )


def label_file(ct: Path, out: Path, total: Path, head_glands: Path | None = None, version: int | None = None) -> None:
    """Makes the organ label of one CT.

    Args:
        ct: on whose grid it is wanted.
        out: the file to write, .nii.gz.
        total: output of the task "total" (`organs.label_organs`).
        head_glands: output of the task "head_glands_cavities".
        version: of TotalSegmentator's numbers, 1 or 2; None tells it from the output.

    Raises:
        CaseError: something is missing, does not fit, or cannot be written.
    """
    reference = read_image(ct)
    write_organs(out, label_organs(reference, total, head_glands, version), reference)


def label_folder(
    cts: Path, out: Path, total: Path, head_glands: Path | None = None, version: int | None = None
) -> OrganBatch:
    """Makes an organ label <case>.nii.gz for every CT of a folder; one that fails hinders no other.

    Args:
        cts: a folder of <case>_0000.nii.gz, as imagesTr is, or of <case>.nii.gz.
        out: the folder of the labels; those that are there already are kept.
        total: output of the task "total", <case>.nii.gz or a folder <case> of masks for every case.
        head_glands: output of the task "head_glands_cavities", likewise.
        version: as `organs.label_organs` takes it.

    Raises:
        CaseError: `cts` holds no CT, `out` is a file, or a folder of outputs is missing.
    """
    cases = _find_cts(cts)
    for folder in (total, head_glands):
        if folder is not None and not folder.is_dir():
            raise CaseError(f"{folder}: the folder is missing, expected TotalSegmentator's output for every case")
    if out.exists() and not out.is_dir():
        raise CaseError(f"{out}: is a file, expected a folder for the labels of {len(cases)} cases")
    written, skipped, failed = [], [], []
    with Progress("labeling organs", len(cases), "cases") as progress:
        for name, ct in cases.items():
            target = out / f"{name}{FILE_ENDING}"
            if target.exists():
                skipped.append(name)
            else:
                try:
                    glands = None if head_glands is None else _output_of(head_glands, name)
                    label_file(ct, target, _output_of(total, name), glands, version)
                    written.append(name)
                except CaseError as error:
                    logger.error("%s: %s", name, error)
                    failed.append(name)
            progress.update()
    return OrganBatch(tuple(written), tuple(skipped), tuple(failed))


def _find_cts(folder: Path) -> dict[str, Path]:
    """Case name -> CT; where files end in _0000.nii.gz these alone are CTs."""
    paths = sorted(path for path in folder.glob(f"[!.]*{FILE_ENDING}") if path.is_file())
    ending = f"{CT_SUFFIX}{FILE_ENDING}"
    if not any(path.name.endswith(ending) for path in paths):
        ending = FILE_ENDING
    cts = {path.name.removesuffix(ending): path for path in paths if path.name.endswith(ending)}
    if not cts:
        raise CaseError(f"{folder}: holds no CT, expected <case>{CT_SUFFIX}{FILE_ENDING} or <case>{FILE_ENDING}")
    return cts


def _output_of(folder: Path, name: str) -> Path:
    """TotalSegmentator's output for a case: a file, or else a folder."""
    file = folder / f"{name}{FILE_ENDING}"
    if file.is_file():
        return file
    if (folder / name).is_dir():
        return folder / name
    raise CaseError(f"{file}: the file is missing, and so is the folder {folder / name}")
