"""Environment of this process: variables that nnU-Net or the trainer reads, set for a while."""

import contextlib
import os
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def environment_of(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Sets variables of the environment, or removes those that are None, for as long as the block runs."""
    before = {name: os.environ.pop(name) for name in variables if name in os.environ}
    os.environ.update({name: value for name, value in variables.items() if value is not None})
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)
