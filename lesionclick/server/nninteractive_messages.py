"""Messages of the nnInteractive protocol: what its requests say, read within bounds, and what a prediction answers."""

import json
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import ClientDisconnect

from lesionclick.case.clicks import Label
from lesionclick.server.nninteractive_frames import pack
from lesionclick.server.nninteractive_viewer import Change, PromptError
from lesionclick.server.problems import TooLargeError

META_HEADER = "X-Meta"  # parameters of a request or an answer whose body is an array

MAX_JSON_BYTES = 1 << 20

Message = TypeVar("Message", bound=BaseModel)


class TargetBufferMessage(BaseModel):
    """The array that a viewer keeps its mask in."""

    shape: list[int]
    dtype: str


class PromptMessage(BaseModel):
    """What all prompts say."""

    include_interaction: bool
    run_prediction: bool = True

    @property
    def label(self) -> Label:
        """Of the clicks that the prompt becomes."""
        return "tumor" if self.include_interaction else "background"


class PointMessage(PromptMessage):
    """A point, in the viewer's order of axes."""

    coordinates: list[float]


class ScribbleMessage(PromptMessage):
    """A scribble, whose mask is the body."""

    interaction_bbox: list[list[int]] | None = None


class InitialSegmentationMessage(BaseModel):
    """An earlier mask, which is the body."""

    run_prediction: bool = False


class ImageProperties(BaseModel):
    """What a viewer knows of its volume; other properties are not looked at."""

    model_config = ConfigDict(extra="ignore")

    spacing: list[float] | None = None


class ImageMessage(BaseModel):
    """A volume, which is the body."""

    image_properties: ImageProperties = ImageProperties()


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The body of a request.

    Raises:
        TooLargeError: it is larger than that; the rest is not read.
        PromptError: the client is gone.
    """
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most_bytes:
                raise TooLargeError(f"the body is larger than {most_bytes} bytes")
    except ClientDisconnect:
        raise PromptError("the viewer has hung up before all of its request was here") from None
    return bytes(body)


async def read_json(request: Request, kind: type[Message]) -> Message:
    """The body of a request that is JSON; unknown keys are ignored.

    Raises:
        PromptError: it is no such message.
        TooLargeError: it is far larger than any message.
    """
    return _parse(await read_body(request, MAX_JSON_BYTES), kind, "the body")


def read_meta(request: Request, kind: type[Message]) -> Message:
    """The parameters in the header of a request whose body is an array; see `read_json`."""
    return _parse(request.headers.get(META_HEADER, "{}").encode("latin-1"), kind, META_HEADER)


def _parse(text: bytes, kind: type[Message], where: str) -> Message:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise PromptError(f"{where} is not what it should be: {f'{place}: ' if place else ''}{first['msg']}") from None


def prediction_answer(change: Change) -> Response:
    """The answer to each request that may have run a prediction."""
    meta: dict[str, Any] = {"ran_prediction": change.ran, "bbox": change.box}
    content = b""
    if change.part is not None:
        meta |= {"dtype": change.part.dtype.name, "shape": list(change.part.shape)}
        content = pack(change.part)
    headers = {META_HEADER: json.dumps(meta, separators=(",", ":"))}
    return Response(content, media_type="application/octet-stream", headers=headers)
