"""Open case: a case's images as networks see them, made ready once, and what clicks add to them."""

import logging
from collections.abc import Iterable

import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.inference.body import boxes_outside, find_body, region_to_see
from lesionclick.inference.click_maps import ClickMaps, VolumeClickMaps, make_click_maps
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import FieldOfView
from lesionclick.inference.tile_inputs import TileInputs
from lesionclick.inference.tiles import Tile, TileStart
from lesionclick.model.grid import to_network_grid
from lesionclick.model.preprocessing import PET_CHANNEL

logger = logging.getLogger(__name__)


class OpenCase:
    """A case on the networks' grid: what depends on the images alone is found once, so that a click is cheap.

    Attributes:
        grid: the networks', on which the images are seen.
    """

    def __init__(self, ensemble: Ensemble, case: Case, field_of_view: FieldOfView) -> None:
        """Preprocesses the images.

        Args:
            ensemble: the networks.
            case: its images.
            field_of_view: where networks look.
        """
        self._model = ensemble.model
        self._takes_clicks = ensemble.takes_clicks
        image = np.stack([case.ct_zyx, case.pet_zyx])
        image, self.grid = self._model.preprocessing.to_network(image, case.geometry.spacing_zyx)
        self._model.require_few_passes(self.grid)
        self._suv: np.ndarray | None = None
        if self._model.encoding.needs_suv:
            self._suv = self._model.preprocessing.to_suv(image[PET_CHANNEL])
        self._images = ensemble.prepare(image)
        self._body: np.ndarray | None = None
        if field_of_view == FieldOfView.body:
            self._body = find_body(case.ct_zyx, case.pet_zyx, case.geometry.spacing_zyx, self.grid)
        self._tiles = self._images.grid.tiles_covering(self._body)

    def inputs(self, clicks: Iterable[Click]) -> TileInputs:
        """What networks see: CT, PET, tumor clicks and background clicks, the latter where they take any."""
        return TileInputs(self._images, self._click_maps(tuple(clicks)))

    def region(self, clicks: Iterable[Click]) -> np.ndarray | None:
        """Where the networks look for these clicks, on their grid; None for everywhere."""
        if self._body is None:
            return None
        return region_to_see(self._body, to_network_grid(clicks, self.grid), self._model.patch)

    def tiles(self, clicks: Iterable[Click]) -> tuple[Tile, ...]:
        """The tiles that cover `region`, in the grid's order."""
        if self._body is None:
            return self._tiles
        boxes = boxes_outside(self._body, to_network_grid(clicks, self.grid), self._model.patch)
        if not boxes:
            return self._tiles
        grid = self._images.grid
        seen = {TileStart.of(tile) for tile in self._tiles}.union(*(grid.tiles_of_box(box) for box in boxes))
        return tuple(tile for tile in grid.tiles if TileStart.of(tile) in seen)

    def to_image(self, logit: np.ndarray) -> np.ndarray:
        """A logit on the networks' grid, resampled to the case's, see `Preprocessing.to_image`."""
        return self._model.preprocessing.to_image(logit, self.grid)

    def _click_maps(self, clicks: tuple[Click, ...]) -> ClickMaps:
        """Maps of tumor and background clicks, or none of them."""
        if not self._takes_clicks:
            if clicks:
                logger.warning("the model was trained without clicks: %d clicks are ignored", len(clicks))
            return VolumeClickMaps(self._images.grid, np.zeros((0, *self.grid.shape), dtype=np.float32))
        points = [
            to_network_grid((click for click in clicks if click.label == label), self.grid)
            for label in ("tumor", "background")
        ]
        return make_click_maps(self._images.grid, points, self._model.encoding, self._suv)
