"""Session: one open case, preprocessed once, predicted for any clicks; only what they changed is computed again."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.inference.body import find_body, region_to_see
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import DEFAULT_SETTINGS, FieldOfView, InferenceSettings, PostProcessing
from lesionclick.inference.tile_cache import TileCache
from lesionclick.log import stage
from lesionclick.model.grid import to_network_grid
from lesionclick.session.history import ClickHistory
from lesionclick.session.postprocessing import post_process

logger = logging.getLogger(__name__)

TILE_CACHE_BYTES = 2 << 30
"""How much a session keeps of what tiles gave, if nothing else is said."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an ensemble says of a case.

    Attributes:
        logit_zyx: float32 on the case's grid, the lesion's logit minus the background's, minus infinity where the image
            was cropped away.
        spacing_zyx: of that grid, mm.
        clicks: all that the networks were shown.
        post_processing: what is done to the mask.
    """

    logit_zyx: np.ndarray
    spacing_zyx: tuple[float, ...]
    clicks: tuple[Click, ...] = ()
    post_processing: PostProcessing = DEFAULT_SETTINGS.post_processing

    @cached_property
    def mask(self) -> np.ndarray:
        """uint8 on the case's grid (z, y, x), 1 where a lesion is more likely than not, post-processed as asked for."""
        return post_process(self.logit_zyx, self.clicks, self.spacing_zyx, self.post_processing)

    @cached_property
    def probability(self) -> np.ndarray:
        """float32 on the case's grid (z, y, x), the lesion's probability; no post-processing changes it."""
        probability: np.ndarray = expit(self.logit_zyx)
        return probability


class Session:
    """A case opened with an ensemble, for any number of predictions.

    session = Session(Ensemble.load("resources/model"), Case.read("input"))
    first = session.predict()
    session.history.add(Click(24, 22, 30, "tumor"))
    corrected = session.predict()

    Any number of sessions, each in a thread of its own, may share an ensemble. Calls of one session take turns.

    Attributes:
        history: the clicks to go by, at first the case's own.
        grid: the networks', on which the case's images are seen.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        case: Case,
        settings: InferenceSettings = DEFAULT_SETTINGS,
        *,
        tile_cache_bytes: int = TILE_CACHE_BYTES,
    ) -> None:
        """Preprocesses the case's images.

        Args:
            ensemble: the networks.
            case: what to segment.
            settings: where networks look, how many of them, mirrored how often, and what is done to masks.
            tile_cache_bytes: how much to keep of what tiles gave (4 bytes a voxel of each tile), so that a prediction
                computes only tiles whose clicks are new; 0 for nothing.
        """
        self._ensemble = ensemble
        self._case = case
        self._settings = settings
        self.history = ClickHistory(case.clicks)
        self._cache = TileCache(tile_cache_bytes) if tile_cache_bytes else None
        self._lock = threading.RLock()
        ensemble.read_ahead()
        with stage("preprocessing"):
            image = np.stack([case.ct_zyx, case.pet_zyx])
            self._image, self.grid = ensemble.model.preprocessing.to_network(image, case.geometry.spacing_zyx)
            self._body: np.ndarray | None = None
            if settings.field_of_view == FieldOfView.body:
                self._body = find_body(case.ct_zyx, case.pet_zyx, case.geometry.spacing_zyx, self.grid)

    @property
    def ensemble(self) -> Ensemble:
        """The networks."""
        return self._ensemble

    @property
    def case(self) -> Case:
        """What is segmented."""
        return self._case

    @property
    def settings(self) -> InferenceSettings:
        """Where networks look, how many of them, mirrored how often, and what is done to masks."""
        return self._settings

    def predict(
        self,
        clicks: Iterable[Click] | None = None,
        *,
        deadline: float | None = None,
        on_update: Callable[[Prediction], None] | None = None,
    ) -> Prediction:
        """Segments the case.

        Args:
            clicks: all clicks to go by; None for those of `history`.
            deadline: see `Ensemble.predict_logits`, on time.monotonic; resampling to the case's grid comes after it.
            on_update: called with the result so far before each pass but the first, which is after each network where
                nothing is mirrored. Other threads that want this session wait meanwhile.

        Returns:
            Without a deadline what a session that makes this prediction alone would give, on the CPU bit for bit,
            whatever was predicted before.

        Raises:
            ModelError, DeviceError: see `Ensemble.predict_logits`.
        """
        clicks = self.history.clicks if clicks is None else tuple(clicks)
        with self._lock:
            channels = self.network_input(clicks)
            update = None if on_update is None else lambda logit: on_update(self._to_prediction(logit, clicks))
            with stage("prediction"):
                logit = self.ensemble.predict_logits(
                    channels,
                    self.settings,
                    region=self.region(clicks),
                    deadline=deadline,
                    cache=self._cache,
                    on_update=update,
                )
            del channels
            with stage("resampling to the image"):
                return self._to_prediction(logit, clicks)

    def predict_organs(self) -> np.ndarray:
        """Finds organs, with one more forward pass a tile; clicks have no part in it.

        Returns:
            uint8 on the case's grid (z, y, x): numbers of `case.organs.ORGANS`, 0 elsewhere.

        Raises:
            ModelError: the networks have no organ heads, see `Ensemble.knows_organs`.
            DeviceError: see `Ensemble.predict_organs`.
        """
        with self._lock:
            with stage("organs"):
                logits = self.ensemble.predict_organs(self.network_input([]), region=self.region([]))
            with stage("resampling organs to the image"):
                # class by class, as nnU-Net takes the largest after resampling; where the image was cropped, none is
                organs = np.zeros(self.grid.image_shape, dtype=np.uint8)
                largest = self.ensemble.model.preprocessing.to_image(logits[0], self.grid)
                for number, logit in enumerate(logits[1:], start=1):
                    resampled = self.ensemble.model.preprocessing.to_image(logit, self.grid)
                    np.putmask(organs, resampled > largest, number)
                    np.maximum(largest, resampled, out=largest)
            return organs

    def network_input(self, clicks: Iterable[Click]) -> np.ndarray:
        """The networks' input: float32 of shape (4 or 2, *network grid), CT, PET, tumor clicks, background clicks."""
        clicks = tuple(clicks)
        if not self.ensemble.takes_clicks:
            if clicks:
                logger.warning("the model was trained without clicks: %d clicks are ignored", len(clicks))
            return self._image
        maps = []
        for label in ("tumor", "background"):
            points = to_network_grid((click for click in clicks if click.label == label), self.grid)
            maps.append(self.ensemble.model.encoding.encode(points, self.grid.shape))
        return np.concatenate([self._image, np.stack(maps)])

    def region(self, clicks: Iterable[Click]) -> np.ndarray | None:
        """Where the networks look for these clicks, on their grid; None for everywhere."""
        if self._body is None:
            return None
        points = to_network_grid(clicks, self.grid)
        return region_to_see(self._body, points, self.ensemble.model.patch)

    def _to_prediction(self, logit: np.ndarray, clicks: tuple[Click, ...]) -> Prediction:
        logit_zyx = self.ensemble.model.preprocessing.to_image(logit, self.grid)
        shown = clicks if self.ensemble.takes_clicks else ()
        return Prediction(logit_zyx, self.case.geometry.spacing_zyx, shown, self.settings.post_processing)
