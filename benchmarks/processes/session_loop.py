"""Loop over cases with a Session each and the model loaded once: the least that segmenting them takes.

python -m benchmarks.processes.session_loop CASES OUT MODEL
"""

import sys
from pathlib import Path

from lesionclick import Case, Ensemble, Session
from lesionclick.case.images import write_mask


def main(cases: Path, out: Path, model: Path) -> None:
    """Writes a mask for each case in Grand Challenge layout of a folder."""
    ensemble = Ensemble.load(model, "cpu")
    for folder in sorted(cases.iterdir()):
        case = Case.read(folder)
        mask_zyx = Session(ensemble, case, tile_cache_bytes=0).predict().mask
        write_mask(mask_zyx, case.geometry, out / folder.name / "lesions.nii.gz")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
