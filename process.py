"""The container's entrypoint: `lesionclick predict` with the paths that Grand Challenge uses.

LESIONCLICK_API, which the image sets, says whether it segments one case or stays awake for as many as are asked for.
"""

import os
import sys
from pathlib import Path

from lesionclick.cli.main import main

UPLOADED_MODEL = Path("/opt/ml/model")  # where the platform unpacks a separately uploaded model
KEPT_FOLDER = Path("/cache")  # what autoPET V mounts to keep files between the iterations of a case
BUNDLED_MODEL = Path(__file__).resolve().parent / "resources" / "model"

if __name__ == "__main__":
    uploaded = UPLOADED_MODEL.is_dir() and any(UPLOADED_MODEL.iterdir())
    os.environ.setdefault("LESIONCLICK_MODEL", str(UPLOADED_MODEL if uploaded else BUNDLED_MODEL))
    os.environ.setdefault("LESIONCLICK_INPUT", "/input")
    os.environ.setdefault("LESIONCLICK_OUTPUT", "/output")
    if KEPT_FOLDER.is_dir() and os.access(KEPT_FOLDER, os.W_OK | os.X_OK):
        os.environ.setdefault("LESIONCLICK_STATE", str(KEPT_FOLDER))
    main(["predict", *sys.argv[1:]])
