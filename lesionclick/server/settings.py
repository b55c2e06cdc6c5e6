"""Settings of the server."""

from dataclasses import dataclass
from pathlib import Path

from lesionclick.inference.settings import InferenceSettings, PostProcessing
from lesionclick.session.session import TILE_CACHE_BYTES

SESSION_SETTINGS = InferenceSettings(post_processing=PostProcessing(obey_clicks=True))
"""What masks are made with where nothing else is said: a click is obeyed."""

CASE_BYTES = 40
"""What a case in memory takes at most, for each voxel of its grid or the networks', whichever has more: images as they
are (8) and as networks see them (up to 12), weights of tiles (4), uptake for click encodings (4), an earlier mask with
what networks said of it (5), where the body is (1), and some reserve. What tiles gave comes on top."""


@dataclass(frozen=True)
class ServerSettings:
    """How a server keeps sessions and what it takes.

    Attributes:
        data: the folder of everything that it writes.
        inference: what decides, beside the model, what a mask is.
        max_sessions: how many sessions are in memory at a time; the least recently used is closed.
        tile_cache_bytes: how much each of them keeps of what tiles gave.
        max_upload: bytes of a request that brings a case.
    """

    data: Path
    inference: InferenceSettings = SESSION_SETTINGS
    max_sessions: int = 3
    tile_cache_bytes: int = TILE_CACHE_BYTES
    max_upload: int = 2 << 30

    @property
    def database(self) -> Path:
        """The file that keeps cases, sessions and clicks."""
        return self.data / "lesionclick.sqlite"

    @property
    def cases(self) -> Path:
        """The folder of uploads."""
        return self.data / "cases"

    @property
    def sessions(self) -> Path:
        """The folder of masks."""
        return self.data / "sessions"

    @property
    def temporary(self) -> Path:
        """The folder of files that nobody needs after the request that they came with."""
        return self.data / "temporary"


@dataclass(frozen=True)
class ModelIdentity:
    """What is said of the model.

    Attributes:
        name: of its folder.
        description: what its folder says of it; may be empty.
        fingerprint: SHA-256 of its weights.
        networks: how many it has.
    """

    name: str
    description: str
    fingerprint: str
    networks: int
