"""LesionClick: promptable lesion segmentation in whole-body PET/CT.

from lesionclick import Case, Ensemble, Session

ensemble = Ensemble.load("resources/model")
case = Case.read("input")
mask = Session(ensemble, case).predict().mask

Names are loaded when first used, so that importing the package costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

import lesionclick.log  # noqa: F401 - notes when the program started

if TYPE_CHECKING:
    from lesionclick.case.case import Case as Case
    from lesionclick.case.clicks import Click as Click
    from lesionclick.case.geometry import Geometry as Geometry
    from lesionclick.errors import CaseError as CaseError
    from lesionclick.errors import DeviceError as DeviceError
    from lesionclick.errors import LesionClickError as LesionClickError
    from lesionclick.errors import ModelError as ModelError
    from lesionclick.errors import Superseded as Superseded
    from lesionclick.inference.ensemble import Ensemble as Ensemble
    from lesionclick.inference.settings import InferenceSettings as InferenceSettings
    from lesionclick.inference.settings import PostProcessing as PostProcessing
    from lesionclick.session.prediction import Prediction as Prediction
    from lesionclick.session.session import Session as Session

__version__ = "0.1.0"

_MODULES = {
    "Case": "lesionclick.case.case",
    "CaseError": "lesionclick.errors",
    "Click": "lesionclick.case.clicks",
    "DeviceError": "lesionclick.errors",
    "Ensemble": "lesionclick.inference.ensemble",
    "Geometry": "lesionclick.case.geometry",
    "InferenceSettings": "lesionclick.inference.settings",
    "LesionClickError": "lesionclick.errors",
    "ModelError": "lesionclick.errors",
    "PostProcessing": "lesionclick.inference.settings",
    "Prediction": "lesionclick.session.prediction",
    "Session": "lesionclick.session.session",
    "Superseded": "lesionclick.errors",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Imports the module of a public name when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
