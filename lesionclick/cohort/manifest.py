"""Manifest of a finished case: what its results were made of, so that nobody makes them twice, and how.

OUT/<case>/manifest.json:
  made_of   digest of the input, digest of the model, settings, version: all that decides whether the case is done
  stamp     names, sizes and times of the input's files, by which it is known without being read
  record    when, where, with which libraries and in how many seconds; what was found; nothing is decided by it
"""

import dataclasses
import datetime
import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lesionclick
from lesionclick.cohort.cases import CohortCase
from lesionclick.errors import CaseError
from lesionclick.files import read_json_object, write_json
from lesionclick.inference.settings import InferenceSettings

MANIFEST_FILE = "manifest.json"

PROGRAM = "lesionclick cohort"

MASK_FILE, CSV_FILE, JSON_FILE = RESULT_FILES = ("lesions.nii.gz", "lesions.csv", "lesions.json")
"""Beside the manifest, under the names that `lesionclick segment` gives them."""

LIBRARIES = ("torch", "openvino", "nnunetv2", "numpy", "scipy", "SimpleITK")


@dataclass(frozen=True)
class Recipe:
    """All that decides, beside a case's files, what comes of it.

    Attributes:
        model_sha256: the model's `fingerprint`.
        settings: of inference.
        device, backend, precision: as asked for; what they come to on a machine is in the record.
        with_clicks: whether to go by the cases' clicks.
    """

    model_sha256: str
    settings: InferenceSettings
    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    with_clicks: bool = True

    def made_of(self, input_sha256: str) -> dict[str, Any]:
        """What a manifest has to say for a case to be done, as it comes back from JSON."""
        return {"input_sha256": input_sha256, "version": lesionclick.__version__, **dataclasses.asdict(self)}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder of results; None where it has none, or lacks one of the other files.

    Raises:
        CaseError: it is not what `write_manifest` writes.
    """
    path = folder / MANIFEST_FILE
    if not all((folder / name).is_file() for name in (MANIFEST_FILE, *RESULT_FILES)):
        return None
    content = read_json_object(path, CaseError)
    if content.get("program") != PROGRAM or not isinstance(content.get("made_of"), dict):
        raise CaseError(f"{path}: is none of {PROGRAM!r}")
    return content


def is_done(folder: Path, case: CohortCase, recipe: Recipe) -> bool:
    """Whether a folder holds the results of a case as its files are now, told by the stamp; nothing is read of them."""
    try:
        found = read_manifest(folder)
        if found is None:
            return False
        return found["made_of"] == recipe.made_of(found["made_of"].get("input_sha256")) and (
            found.get("stamp") == case.stamp()
        )
    except CaseError:  # which comes again, with its sentence, when the case is done
        return False


def write_manifest(folder: Path, made_of: Mapping[str, Any], stamp: str, record: Mapping[str, Any]) -> None:
    """Writes the manifest.

    Raises:
        CaseError: it cannot be written.
    """
    content = {"program": PROGRAM, "made_of": made_of, "stamp": stamp, "record": record}
    write_json(content, folder / MANIFEST_FILE)


def describe_machine(engine: str, seconds: float) -> dict[str, Any]:
    """Part of the record: where, when and with what a case was done."""
    return {
        "created": datetime.datetime.now().isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "engine": engine,
        "seconds": round(seconds, 1),
        "libraries": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }
