from pathlib import Path

import numpy as np
from helpers_session import SHAPE, load, make_case, make_ensemble

from lesionclick import Case, Click, Session
from lesionclick.inference.tiles import TileGrid
from lesionclick.model.grid import to_network_grid
from lesionclick.testing import make_plans, write_model


def test_tiles_are_those_that_cover_the_region_whatever_clicks_there_are(tmp_path: Path) -> None:
    """Padded along the first axes, or not; clicks fall into the body, beside it and into air."""
    case = make_case(tmp_path / "case")
    large = write_model(tmp_path / "large", make_plans(spacing=(5, 5, 5), patch=(32, 32, 16)))
    for ensemble in (make_ensemble(tmp_path / "model"), load(large)):
        opened = Session(ensemble, case).open_case
        grid = TileGrid(SHAPE, ensemble.model.patch)
        counts = set()
        for x in range(0, SHAPE[2], 5):
            clicks = [Click(x, 5, 3, "tumor"), Click(x // 2, 17, 0, "background")]
            tiles = opened.tiles(clicks)
            assert tiles == grid.tiles_covering(opened.region(clicks))
            counts.add(len(tiles))
        assert len(counts) > 1


def test_inputs_are_the_images_and_the_maps_of_clicks_cut_into_tiles(tmp_path: Path) -> None:
    case: Case = make_case(tmp_path / "case")
    ensemble = make_ensemble(tmp_path / "model")
    opened = Session(ensemble, case).open_case
    clicks = [Click(5, 5, 3, "tumor"), Click(20, 9, 9, "background")]
    preprocessing, encoding = ensemble.model.preprocessing, ensemble.model.encoding
    images, _ = preprocessing.to_network(np.stack([case.ct_zyx, case.pet_zyx]), case.geometry.spacing_zyx)
    maps = [encoding.encode(to_network_grid([click], opened.grid), opened.grid.shape) for click in clicks]
    channels, inputs = np.concatenate([images, maps]), opened.inputs(clicks)
    for tile in opened.tiles(clicks):
        (found,) = inputs.batch([(tile, (1,))])
        np.testing.assert_array_equal(found.numpy(), channels[(slice(None), *tile)][:, :, ::-1])


def test_clicks_that_show_uptake_show_that_of_the_case_to_the_tiles_they_lie_in(tmp_path: Path) -> None:
    case: Case = make_case(tmp_path / "case")
    make_ensemble(tmp_path / "model")
    (tmp_path / "model" / "prompt.json").write_text('{"encoding": "uptake", "radius": 9}')
    ensemble = load(tmp_path / "model")
    opened = Session(ensemble, case).open_case
    click = Click(5, 5, 3, "tumor")
    (point,) = to_network_grid([click], opened.grid)
    inputs, around = opened.inputs([click]), 0
    for tile in opened.tiles([click]):
        (channels,) = inputs.batch([(tile, ())]).numpy()
        if all(axis.start <= at < axis.stop for axis, at in zip(tile, point, strict=True)):
            suv = ensemble.model.preprocessing.to_suv(channels[1])
            start = [axis.start for axis in tile]
            np.testing.assert_array_equal(
                channels[2], ensemble.model.encoding.encode(np.array([point - start]), suv.shape, suv)
            )
            assert (channels[2] < 0).any()
        else:
            assert not channels[2].any()
            around += 1
        assert not channels[3].any()
    assert around
