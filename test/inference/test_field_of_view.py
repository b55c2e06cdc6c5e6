"""The default field of view gives the published method's probabilities in the body, with large patches as well."""

from pathlib import Path

import numpy as np
import pytest

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.case.geometry import Geometry
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks
from lesionclick.inference.tiles import TileGrid
from lesionclick.testing import make_plans, write_model

SPACING = (25.0, 25.0, 25.0)
SHAPE = (40, 40, 40)  # a field of a meter
PATCH = (16, 16, 16)  # 400 mm; tiles start at 0, 8, 16 and 24 along each axis, and cells end at 12, 20 and 28

# 600 mm long, 200 mm deep and 500 mm wide. The body keeps 4 voxels, two sigma of the importance, from the cells that it
# does not reach: the tiles that are left out have less than 0.1 % of the importance in it.
BODY = (slice(0, 24), slice(16, 24), slice(10, 30))


def patient() -> Case:
    """A body of noise in air."""
    generator = np.random.default_rng(0)
    ct = np.full(SHAPE, -1000, dtype=np.float32)
    pet = generator.uniform(0.01, 0.05, SHAPE).astype(np.float32)
    size = ct[BODY].shape
    ct[BODY], pet[BODY] = generator.normal(40, 60, size), generator.gamma(2, 1.5, size)
    geometry = Geometry(SHAPE, SPACING, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    clicks = (Click(15, 20, 10, "tumor"), Click(25, 17, 20, "background"))
    return Case("patient", ct, pet, geometry, clicks)


@pytest.mark.parametrize("mirroring", [Mirroring.none, Mirroring.all])
def test_large_patches_in_a_wide_field_give_the_same_in_the_body(mirroring: Mirroring, tmp_path: Path) -> None:
    """Tiles that were laid anew over the body changed probabilities by up to 0.9."""
    plans = make_plans(patch=PATCH, spacing=SPACING)
    model = write_model(tmp_path / "model", plans, folds=(0, 1), mirror_axes=(1, 2))
    ensemble = Ensemble.load(model, "cpu", backend="torch", precision="float32")
    case = patient()
    body, full = (
        Session(ensemble, case, InferenceSettings(view, mirroring, Networks.all), tile_cache_bytes=0)
        for view in FieldOfView
    )
    grid = TileGrid(SHAPE, PATCH)
    assert len(grid.tiles_covering(body.region(case.clicks))) == 24 < len(grid.tiles) == 64
    ours, published = (session.predict().probability[BODY] for session in (body, full))
    assert published.std() > 0.05  # there is something to be right about
    np.testing.assert_allclose(ours, published, rtol=0, atol=1e-3)
