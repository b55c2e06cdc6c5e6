"""Loading of the model that a command predicts one case with, and what the log says of it."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from lesionclick import log
from lesionclick.inference.backend import Backend, Precision

if TYPE_CHECKING:
    from lesionclick.inference.ensemble import Ensemble

logger = logging.getLogger(__name__)


def load_ensemble(
    model: Path, device: str, backend: Backend, precision: Precision, *, keep_networks: bool = False
) -> "Ensemble":
    """The networks of a model folder, each read when it is used; options as in `Ensemble.load`.

    Raises:
        ModelError: the folder holds no model that can be used.
    """
    with log.stage("checking the model"):
        from lesionclick.inference.ensemble import Ensemble  # torch takes seconds to load

        ensemble = Ensemble.load(model, device, backend=backend, precision=precision, keep_networks=keep_networks)
    logger.info("model: %s, %d networks, on %s", model, len(ensemble.model.folds), ensemble.engine)
    if ensemble.model.description:
        logger.warning("model: %s", ensemble.model.description)
    return ensemble
