"""Schemas of what the API takes and gives; names and units are part of them."""

from typing import Literal

from pydantic import BaseModel, Field, StrictInt

from lesionclick.case.geometry import Geometry
from lesionclick.server.handle import SessionHandle
from lesionclick.server.progress import MaskSoFar, Stage
from lesionclick.server.records import CaseRecord


class HealthOut(BaseModel):
    """Whether the server answers."""

    status: Literal["ok"] = "ok"


class ModelOut(BaseModel):
    """What computes the masks, and how much can be uploaded."""

    name: str
    description: str
    warning: str | None = Field(description="What every reader has to know of the model: what it was not made for.")
    networks: int
    fingerprint: str = Field(description="SHA-256 of its weights.")
    version: str = Field(description="Of LesionClick.")
    max_upload_bytes: int


class CaseOut(BaseModel):
    """A case in the list."""

    id: str
    name: str
    session: str | None = Field(description="Id of its session; null where it was never opened.")

    @classmethod
    def of(cls, record: CaseRecord) -> "CaseOut":
        """A case of the store."""
        return cls(id=record.id, name=record.name, session=record.session_id)


class CaseDetailOut(CaseOut):
    """A case with its grid, which its clicks and masks have."""

    shape_xyz: tuple[int, ...] = Field(description="Voxels.")
    spacing_xyz_mm: tuple[float, ...]

    @classmethod
    def with_grid(cls, record: CaseRecord, geometry: Geometry) -> "CaseDetailOut":
        """A case of the store, and its grid."""
        return cls(**CaseOut.of(record).model_dump(), shape_xyz=geometry.size, spacing_xyz_mm=geometry.spacing)


class ClickIn(BaseModel):
    """A voxel that a reader marks; indices count from 0."""

    x: StrictInt
    y: StrictInt
    z: StrictInt
    label: Literal["tumor", "background"]


class ClickOut(ClickIn):
    """A click with its number, which it keeps as long as the session is kept."""

    id: int


class ProgressOut(BaseModel):
    """How far the mask is."""

    stage: Stage
    text: str = Field(description="In words for the reader.")
    done: int
    total: int = Field(description="Passes that this computation takes; 0 as long as it is not known.")
    error: str | None


class MaskOut(BaseModel):
    """The mask so far."""

    version: int = Field(description="0: there is none; later masks have larger numbers.")
    final: bool = Field(description="Whether all networks have seen the clicks of its revision.")
    revision: int = Field(description="Of the clicks that it shows.")

    @classmethod
    def of(cls, mask: MaskSoFar | None) -> "MaskOut":
        """A mask, or none."""
        if mask is None:
            return cls(version=0, final=False, revision=0)
        return cls(version=mask.version, final=mask.final, revision=mask.revision)


class SessionOut(BaseModel):
    """A session's state."""

    id: str
    case: str
    revision: int = Field(description="Number of changes of the clicks so far.")
    clicks: list[ClickOut]
    can_undo: bool
    can_redo: bool
    progress: ProgressOut
    mask: MaskOut

    @classmethod
    def of(cls, handle: SessionHandle) -> "SessionOut":
        """What a session is at this moment."""
        record, progress, mask = handle.snapshot()
        return cls(
            id=record.id,
            case=record.case_id,
            revision=record.revision,
            clicks=[
                ClickOut(id=each.id, x=each.click.x, y=each.click.y, z=each.click.z, label=each.click.label)
                for each in record.clicks
            ],
            can_undo=record.can_undo,
            can_redo=record.can_redo,
            progress=ProgressOut(
                stage=progress.stage,
                text=progress.text,
                done=progress.done,
                total=progress.total,
                error=progress.error,
            ),
            mask=MaskOut.of(mask),
        )


class LesionOut(BaseModel):
    """A lesion of the mask."""

    number: int = Field(description="1 for the largest.")
    volume_ml: float
    suv_max: float
    suv_mean: float
    suv_peak: float
    tlg_ml: float = Field(description="Volume times mean SUV, ml.")
    axial_diameter_mm: float
    x: int = Field(description="x, y, z: its hottest voxel.")
    y: int
    z: int


class TotalOut(BaseModel):
    """All lesions together."""

    volume_ml: float
    tlg_ml: float
    dmax_mm: float | None = Field(description="Between the two lesions farthest apart; null for fewer than two.")
    count: int


class LesionsOut(BaseModel):
    """The lesions of the mask so far."""

    mask: MaskOut
    lesions: list[LesionOut]
    total: TotalOut


class ProblemOut(BaseModel):
    """What is wrong with a request, in one sentence."""

    detail: str
