"""The container's entrypoint: `lesionclick predict` with the paths that Grand Challenge uses."""

import os
import sys
from pathlib import Path

from lesionclick.cli.main import main

UPLOADED_MODEL = Path("/opt/ml/model")  # where the platform unpacks a separately uploaded model
BUNDLED_MODEL = Path(__file__).resolve().parent / "resources" / "model"

if __name__ == "__main__":
    uploaded = UPLOADED_MODEL.is_dir() and any(UPLOADED_MODEL.iterdir())
    os.environ.setdefault("LESIONCLICK_MODEL", str(UPLOADED_MODEL if uploaded else BUNDLED_MODEL))
    os.environ.setdefault("LESIONCLICK_INPUT", "/input")
    os.environ.setdefault("LESIONCLICK_OUTPUT", "/output")
    main(["predict", *sys.argv[1:]])
