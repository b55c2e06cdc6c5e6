"""Same settings: a file beside results that says how they were made, so that none are made otherwise."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lesionclick.errors import CaseError
from lesionclick.files import read_json_object, short_json, write_json


def require_same_settings(asked: Mapping[str, Any], path: Path) -> None:
    """Writes settings to a file, or compares them with those that are there.

    Args:
        asked: what JSON can hold.
        path: the file.

    Raises:
        CaseError: the settings there are others; or the file is damaged, or cannot be written.
    """
    settings = json.loads(json.dumps(asked))  # as they come back from the file
    if not path.exists():
        write_json(settings, path)
    stored = read_json_object(path, CaseError)
    for name in [*settings, *(name for name in stored if name not in settings)]:
        there, now = stored.get(name), settings.get(name)
        if there != now:
            raise CaseError(
                f"{path}: the rows there were made with {name} {short_json(there)}, not {short_json(now)}, "
                "expected the same settings or another folder"
            )
