"""Turns of requests that need much memory: a few are at work at a time, and the others wait without a thread."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Depends

AT_A_TIME = 2
"""Requests that read, pack or measure images at a time, however many are sent."""


class Turns:
    """Lets requests work in turns; what keeps no thread waiting leaves clicks their threads."""

    def __init__(self, most: int = AT_A_TIME) -> None:
        """Lets so many requests work at a time."""
        self._semaphore = asyncio.Semaphore(most)

    async def _wait(self) -> AsyncIterator[None]:
        async with self._semaphore:
            yield

    @property
    def taken(self) -> Any:
        """For the `dependencies` of a route: its function, not the sending of what it returns, is done in a turn."""
        return Depends(self._wait, scope="function")
