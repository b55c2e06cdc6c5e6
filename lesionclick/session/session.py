"""Session: one open case, preprocessed once, predicted for any clicks; only what they changed is computed again."""

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.errors import Superseded
from lesionclick.inference.ensemble import Ensemble
from lesionclick.inference.settings import DEFAULT_SETTINGS, InferenceSettings
from lesionclick.inference.tile_cache import TileCache
from lesionclick.log import stage
from lesionclick.session.history import ClickHistory, require_inside
from lesionclick.session.open_case import OpenCase
from lesionclick.session.organs import find_organs
from lesionclick.session.prediction import Prediction
from lesionclick.session.saving import SavedSession, read_session, write_session
from lesionclick.session.starting_mask import Start

TILE_CACHE_BYTES = 2 << 30
"""How much a session keeps of what tiles gave, if nothing else is said."""


class Session:
    """A case opened with an ensemble, for any number of predictions.

    session = Session(Ensemble.load("resources/model"), Case.read("input"))
    first = session.predict()
    session.add_click(Click(24, 22, 30, "tumor"))
    corrected = session.predict()
    session.undo()

    Any number of sessions, each in a thread of its own, may share an ensemble. Predictions of one session take turns;
    clicks may come at any time from any thread, and supersede the prediction under way.

    Attributes:
        history: the clicks to go by, at first the case's own.
        open_case: the case's images as networks see them.
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
        self._start: Start | None = None
        self._lock = threading.RLock()  # of predictions
        self._save_lock = threading.Lock()
        ensemble.read_ahead()
        with stage("preprocessing"):
            self.open_case = OpenCase(ensemble, case, settings.field_of_view)

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

    @property
    def obey(self) -> bool:
        """Whether masks obey clicks, see `PostProcessing.obey_clicks`."""
        return self._settings.post_processing.obey_clicks

    @property
    def clicks(self) -> tuple[Click, ...]:
        """All clicks that count now."""
        return self.history.clicks

    @property
    def can_undo(self) -> bool:
        """Whether there is a change of clicks to go back."""
        return self.history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a change of clicks that was undone."""
        return self.history.can_redo

    def add_click(self, *clicks: Click) -> None:
        """Marks a voxel, or several such as those of a scribble in one change.

        Raises:
            CaseError: one lies outside the image; none is marked then.
        """
        require_inside(clicks, self.case.geometry)
        self.history.add(*clicks)

    def remove_click(self, click: Click) -> None:
        """Takes a click back, whenever it was made; ValueError where there is no such click."""
        self.history.remove(click)

    def undo(self) -> bool:
        """Goes back one change of clicks; False where there is none."""
        return self.history.undo()

    def redo(self) -> bool:
        """Makes a change again that was undone; False where there is none."""
        return self.history.redo()

    def clear(self) -> None:
        """Takes all clicks back, as a change that can be undone."""
        self.history.replace(())

    def start_from(self, mask_zyx: np.ndarray | None) -> None:
        """Takes a reader's earlier mask as the first result, which clicks from now on change only where they reach.

        What that means is said in `starting_mask`. The mask is no change of clicks: nothing undoes it but another one.

        Args:
            mask_zyx: 0 and 1 or boolean, on the case's grid; None for none.

        Raises:
            CaseError: it has another shape than the case's images.
        """
        shape = self.case.geometry.shape_zyx
        self._start = None if mask_zyx is None else Start.of(mask_zyx, self.history.clicks, shape)

    def predict(
        self,
        clicks: Iterable[Click] | None = None,
        *,
        deadline: float | None = None,
        on_update: Callable[[Prediction], None] | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        is_superseded: Callable[[], bool] | None = None,
    ) -> Prediction:
        """Segments the case.

        Args:
            clicks: all clicks to go by; None for those of `history`.
            deadline: see `Ensemble.predict_logits`, on time.monotonic; resampling to the case's grid comes after it.
            on_update: called with the result so far before each pass but the first, which is after each network where
                nothing is mirrored. Other threads that want a prediction of this session wait meanwhile.
            on_progress: called with the forward passes made so far and all that this prediction makes, after each
                batch of them, and not at all where nothing has to be computed; the latter falls once it is known which
                tiles are quiet. With a starting mask it may begin anew: what it is compared with comes first.
            is_superseded: asked before each batch, whether to give up. Without `clicks`, the prediction is given up as
                well when those of `history`, or the starting mask, have changed.

        Returns:
            Without a deadline what a session that makes this prediction alone would give, on the CPU bit for bit,
            whatever was predicted or given up before.

        Raises:
            ModelError, DeviceError: see `Ensemble.predict_logits`.
            Superseded: it was given up. What its passes gave is kept, as far as `tile_cache_bytes` allow.
        """
        with self._lock:
            start, revision, goes_by_history = self._start, self.history.revision, clicks is None
            clicks = self.history.clicks if clicks is None else tuple(clicks)

            def is_outdated() -> bool:
                is_changed = goes_by_history and (self.history.revision != revision or self._start is not start)
                return is_changed or (is_superseded is not None and is_superseded())

            compute = partial(self._compute, deadline=deadline, on_progress=on_progress, is_superseded=is_outdated)
            known = start
            if start is not None and start.logit_zyx is None:
                known = replace(start, logit_zyx=compute(start.clicks))
                if deadline is None:
                    start.logit_zyx = known.logit_zyx
            shown = clicks if self.ensemble.takes_clicks else ()

            about = (self.case.geometry.spacing_zyx, shown, self.settings.post_processing, known)

            update = None if on_update is None else lambda logit_zyx: on_update(Prediction(logit_zyx, *about))
            return Prediction(compute(clicks, update), *about)

    def _compute(
        self,
        clicks: tuple[Click, ...],
        on_update: Callable[[np.ndarray], None] | None = None,
        *,
        deadline: float | None,
        on_progress: Callable[[int, int], None] | None,
        is_superseded: Callable[[], bool],
    ) -> np.ndarray:
        """What the networks say with clicks, on the case's grid; see `predict`."""
        with stage("prediction"):
            logit = self.ensemble.predict_logits(
                self.open_case.inputs(clicks),
                self.settings,
                tiles=self.open_case.tiles(clicks),
                deadline=deadline,
                cache=self._cache,
                on_update=None if on_update is None else lambda logit: on_update(self.open_case.to_image(logit)),
                on_progress=on_progress,
                is_superseded=is_superseded,
            )
        if is_superseded():
            raise Superseded
        with stage("resampling to the image"):
            return self.open_case.to_image(logit)

    def save(self, folder: str | os.PathLike[str], *, with_images: bool = True, with_tile_sums: bool = True) -> None:
        """Writes all that `restore` needs into a folder: the session is saved whole, or stays as it was saved before.

        What is there from an earlier save of the case is not written again. Saving waits for no prediction; what a
        prediction under way has got is not in it.

        Args:
            folder: a new or empty one, or that of an earlier save, which this one replaces.
            with_images: whether to hold CT and PET as well (compressed .mha); else `restore` has to be given the case,
                which it compares by digests.
            with_tile_sums: whether to hold what tiles gave, so that nothing is computed again; else it is a small
                folder.

        Raises:
            CaseError: the folder holds something else, or cannot be written.
        """
        with self._save_lock:
            states, place = self.history.snapshot()
            saved = SavedSession(
                case=self.case,
                settings=self.settings,
                states=states,
                place=place,
                start=self._start,
                maker=self.ensemble.identity,
                tile_sums=self._cache.items() if self._cache is not None and with_tile_sums else [],
            )
            write_session(saved, Path(folder), with_images=with_images)

    @classmethod
    def restore(
        cls,
        folder: str | os.PathLike[str],
        ensemble: Ensemble,
        case: Case | None = None,
        *,
        tile_cache_bytes: int = TILE_CACHE_BYTES,
    ) -> "Session":
        """A session as it was saved.

        What tiles gave is taken over where the same networks computed it in the same way with the same libraries, else
        computed anew when it is needed, as is whatever of it is missing or damaged.

        Args:
            folder: as `save` left it.
            ensemble: the networks.
            case: whose images to take; None for those in the folder.
            tile_cache_bytes: see `Session`.

        Raises:
            CaseError: the folder is damaged or none of a session, holds no images and none are given, or others.
        """
        saved = read_session(Path(folder), ensemble.identity, ensemble.model.patch, case)
        session = cls(ensemble, saved.case, saved.settings, tile_cache_bytes=tile_cache_bytes)
        session.history = ClickHistory.from_states(saved.states, saved.place)
        session._start = saved.start
        if session._cache is not None:
            for key, tile_sum in saved.tile_sums:
                session._cache.put(key, tile_sum)
        return session

    def predict_organs(self) -> np.ndarray:
        """Finds organs, with one more forward pass a tile; clicks have no part in it.

        Returns:
            uint8 on the case's grid (z, y, x): numbers of `case.organs.ORGANS`, 0 elsewhere.

        Raises:
            ModelError: the networks have no organ heads, see `Ensemble.knows_organs`.
            DeviceError: see `Ensemble.predict_organs`.
        """
        with self._lock:
            return find_organs(self.ensemble, self.open_case)
