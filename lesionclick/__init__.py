"""LesionClick: promptable lesion segmentation in whole-body PET/CT.

from lesionclick import Case, Ensemble, Session

ensemble = Ensemble.load("resources/model")
case = Case.read("input")
mask = Session(ensemble, case).predict().mask
"""

import lesionclick.log  # noqa: F401 - first, since it notes when the program started and the others take seconds
from lesionclick.case.case import Case
from lesionclick.case.clicks import Click
from lesionclick.case.geometry import Geometry
from lesionclick.errors import CaseError, DeviceError, LesionClickError, ModelError
from lesionclick.inference.ensemble import Ensemble
from lesionclick.session.session import Prediction, Session

__version__ = "0.1.0"

__all__ = [
    "Case",
    "CaseError",
    "Click",
    "DeviceError",
    "Ensemble",
    "Geometry",
    "LesionClickError",
    "ModelError",
    "Prediction",
    "Session",
]
