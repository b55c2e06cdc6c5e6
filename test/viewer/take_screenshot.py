"""Screenshot of the page for docs and README: PYTHONPATH=test python test/viewer/take_screenshot.py [PNG [CASE]]

The case is opened, the largest lesion that its mask lacks is clicked, and one that is none; both need its truth.mha.
"""

import sys
import tempfile
from pathlib import Path

from conftest import ROOT
from helpers_browser import SAMPLE, Viewer, largest_untouched, mask_of, open_browser, read_zyx, running_server


def main(picture: Path, study: Path) -> None:
    """Takes the picture."""
    with tempfile.TemporaryDirectory() as name, running_server(study, "--data", Path(name) / "data") as server:
        folder = Path(name)
        with open_browser(folder) as browser:
            viewer = Viewer(browser, server)
            viewer.open()
            viewer.wait_until_final()
            truth, mask = read_zyx(study / "truth.mha"), mask_of(server, folder)
            pet = read_zyx(next((study / "images" / "pet").iterdir()))
            false, missed = largest_untouched(mask, truth, pet), largest_untouched(truth, mask, pet)
            for voxel, is_false in ((false, True), (missed, False)):
                if voxel is not None:
                    viewer.open(voxel)
                    viewer.wait_until_final()
                    viewer.click(*viewer.pixel_of("axial", voxel), right=is_false)
                    viewer.wait_until_final()
            picture.write_bytes(browser.get_screenshot_as_png())


if __name__ == "__main__":
    defaults = [ROOT / "docs" / "viewer.png", SAMPLE]
    given = [Path(argument) for argument in sys.argv[1:]]
    main(*given, *defaults[len(given) :])
