"""The default field of view gives the published method's probabilities in the body, with large patches as well."""

from pathlib import Path

import numpy as np
import pytest

from lesionclick import Case, Click, Ensemble, Session
from lesionclick.case.geometry import Geometry
from lesionclick.inference.settings import FieldOfView, InferenceSettings, Mirroring, Networks
from lesionclick.inference.tiles import TileGrid
from lesionclick.testing import make_plans, write_model

SPACING = (12.5, 12.5, 12.5)
SHAPE = (80, 80, 80)  # a field of a meter
PATCH = (32, 32, 32)  # 400 mm; tiles start at 0, 16, 32 and 48 along each axis, and cells end at 24, 40 and 56

# In the order z, y, x; each ends 5 or 7 voxels before cells that it does not reach, whose tiles have less and less of
# the importance there: 0.7 % at 5 voxels, and nothing counts any more at 8.
BODIES = {
    "near other cells": (slice(0, 51), slice(29, 51), slice(29, 67)),
    "far from other cells": (slice(0, 48), slice(32, 48), slice(32, 64)),
}


def patient(body: tuple[slice, ...]) -> Case:
    """A body of noise in air."""
    generator = np.random.default_rng(0)
    ct = np.full(SHAPE, -1000, dtype=np.float32)
    pet = generator.uniform(0.01, 0.05, SHAPE).astype(np.float32)
    size = ct[body].shape
    ct[body], pet[body] = generator.normal(40, 60, size), generator.gamma(2, 1.5, size)
    geometry = Geometry(SHAPE, SPACING, (0.0,) * 3, (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    clicks = (Click(40, 40, 20, "tumor"), Click(50, 35, 40, "background"))
    return Case("patient", ct, pet, geometry, clicks)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("mirroring", [Mirroring.none, Mirroring.all])
def test_large_patches_in_a_wide_field_give_the_same_in_the_body(
    mirroring: Mirroring, body: tuple[slice, ...], tmp_path: Path
) -> None:
    """Tiles that were laid anew over the body changed probabilities by up to 0.9."""
    plans = make_plans(patch=PATCH, spacing=SPACING)
    model = write_model(tmp_path / "model", plans, mirror_axes=(1,))
    ensemble = Ensemble.load(model, "cpu", backend="torch", precision="float32")
    case = patient(body)
    in_body, in_full = (
        Session(ensemble, case, InferenceSettings(view, mirroring, Networks.all), tile_cache_bytes=0)
        for view in FieldOfView
    )
    grid = TileGrid(SHAPE, PATCH)
    assert 8 < len(grid.tiles_covering(in_body.open_case.region(case.clicks))) < len(grid.tiles) == 64
    ours, published = (session.predict().probability[body] for session in (in_body, in_full))
    assert published.std() > 0.05  # there is something to be right about
    np.testing.assert_allclose(ours, published, rtol=0, atol=1e-3)
