"""Files of DICOM read whole or by their header, with or without a preamble; whatever is wrong becomes one sentence."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lesionclick.errors import CaseError, LesionClickError

PREAMBLE = 128
"""Bytes before the letters DICM."""

SUFFIXES = {".dcm", ".dicom", ".dic", ".ima"}
"""Of file names that say that the file is DICOM."""

FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
"""How a file without preamble begins: group 0002 or 0008, little endian."""


@contextlib.contextmanager
def damage_as_case_error(path: str | Path) -> Iterator[None]:
    """Turns whatever the block raises about a file's content into a CaseError that names the file and the reason.

    A damaged header makes pydicom raise almost any kind of exception, some of them only when a field is first looked
    at; so all kinds are caught. pydicom's warnings about values against the standard are left out: what matters is
    checked by who reads it.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pydicom")
            yield
    except LesionClickError:
        raise
    except OSError as error:
        raise CaseError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise CaseError(f"{path}: is not DICOM that can be read: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """What an exception says, on one line; pydicom adds the traceback of another one to some of its texts."""
    return " ".join(str(error).partition("Traceback (")[0].split())[:300] or type(error).__name__


def looks_like_dicom(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM: by DICM after the preamble, by its first tag, or by its name.

    Raises:
        CaseError: the file cannot be read.
    """
    with damage_as_case_error(path), path.open("rb") as file:
        start = file.read(PREAMBLE + 4)
    return start[PREAMBLE:] == b"DICM" or path.suffix.lower() in SUFFIXES or _starts_with_tag(start)


def _starts_with_tag(start: bytes) -> bool:
    """Whether the bytes can be a dataset's first element: a low group, an element of it, and a length within reason."""
    if start[:2] not in FIRST_GROUPS or len(start) < 8:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    length = int.from_bytes(start[6:8] if explicit else start[4:8], "little")
    return int.from_bytes(start[2:4], "little") <= 0x0070 and length <= 1024


def read_header(path: Path, keywords: Sequence[str] | None = None) -> Dataset:
    """A file's header without its pixels.

    Args:
        path: the file.
        keywords: the fields to read; None for all.

    Raises:
        CaseError: the file cannot be read.
    """
    with damage_as_case_error(path):
        tags = None if keywords is None else list(keywords)
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)


def read_dataset(path: Path) -> Dataset:
    """A file with its pixels, ready to be decoded; where the file lacks it, the transfer syntax is what pydicom found.

    Raises:
        CaseError: the file cannot be read.
    """
    with damage_as_case_error(path):
        dataset = pydicom.dcmread(path, force=True)
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = FileMetaDataset()
        if "TransferSyntaxUID" not in dataset.file_meta:
            implicit, little = dataset.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        return dataset
