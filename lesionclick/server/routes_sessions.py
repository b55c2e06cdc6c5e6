"""Routes of sessions: clicks with undo and redo, and the state, once or whenever it changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from lesionclick.case.clicks import Click
from lesionclick.server.handle import SessionHandle
from lesionclick.server.schemas import ClickIn, SessionOut
from lesionclick.server.sessions import Sessions
from lesionclick.server.streams import Streams

COMMENT_SECONDS = 10.0
"""Between two comments of a stream in which nothing happens, so that nobody on the way closes it."""


def sessions_router(sessions: Sessions, streams: Streams) -> APIRouter:
    """The routes below /api/sessions that change a session or tell its state."""
    router = APIRouter(prefix="/api/sessions", tags=["sessions"])

    @router.get("/{session}")
    def get_session(session: str) -> SessionOut:
        """The session's state."""
        return SessionOut.of(sessions.get(session))

    @router.delete("/{session}", status_code=204)
    def remove_session(session: str) -> Response:
        """Forgets the session with its clicks and masks."""
        sessions.remove(session)
        return Response(status_code=204)

    @router.post("/{session}/clicks")
    def add_click(session: str, click: ClickIn) -> SessionOut:
        """Adds a click, which is kept when this answers; the mask follows."""
        handle = sessions.get(session)
        handle.add_click(Click(click.x, click.y, click.z, click.label))
        return SessionOut.of(handle)

    @router.delete("/{session}/clicks/{click}")
    def remove_click(session: str, click: int) -> SessionOut:
        """Takes a click back, whenever it was made."""
        handle = sessions.get(session)
        handle.remove_click(click)
        return SessionOut.of(handle)

    @router.post("/{session}/undo")
    def undo(session: str) -> SessionOut:
        """Goes back one change of the clicks; without one, nothing happens."""
        handle = sessions.get(session)
        handle.undo()
        return SessionOut.of(handle)

    @router.post("/{session}/redo")
    def redo(session: str) -> SessionOut:
        """Makes a change again that was undone; without one, nothing happens."""
        handle = sessions.get(session)
        handle.redo()
        return SessionOut.of(handle)

    @router.post("/{session}/clear")
    def clear(session: str) -> SessionOut:
        """Takes all clicks back, in one change."""
        handle = sessions.get(session)
        handle.clear()
        return SessionOut.of(handle)

    def find(session: str) -> SessionHandle:
        """The session, opened again where it was closed; before the stream begins, since an unknown one has none."""
        return sessions.open(sessions.get(session).case_id)

    @router.get("/{session}/events", response_class=EventSourceResponse)
    async def events(handle: Annotated[SessionHandle, Depends(find)]) -> AsyncIterator[ServerSentEvent]:
        """The state as events named "state": one at once, then one whenever it changes.

        Opens the session again where it was closed, so that a page goes on when its server was started anew.
        """
        async for event in _events(handle, streams):
            yield event

    return router


async def _events(handle: SessionHandle, streams: Streams) -> AsyncIterator[ServerSentEvent]:
    """Events until the session is removed or the server ends.

    Changes that come faster than they are fetched become one event.
    """
    loop, changed = asyncio.get_running_loop(), asyncio.Event()
    changed.set()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended, and its loop with it
            loop.call_soon_threadsafe(changed.set)

    stop, forget = handle.listen(tell), streams.add(tell)
    try:
        while not (handle.is_removed or streams.ended):
            try:
                await asyncio.wait_for(changed.wait(), COMMENT_SECONDS)
            except TimeoutError:
                yield ServerSentEvent(comment="still here")
                continue
            changed.clear()
            yield ServerSentEvent(event="state", data=SessionOut.of(handle))
    finally:
        stop()
        forget()
