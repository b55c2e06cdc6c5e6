import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from lesionclick import ModelError
from lesionclick.inference.networks import NetworkCache


class Reader:
    """Reads made-up networks and notes which."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __call__(self, place: int) -> "Adding":
        self.read.append(place)
        return Adding(place)


class Adding:
    """A network that adds a number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        return batch + self.number


def number_of(cache: NetworkCache, place: int) -> float:
    return cache.get(place)(torch.zeros(1)).item()


def test_a_network_is_read_once_while_there_is_room() -> None:
    read = Reader()
    cache = NetworkCache(read, 2)
    assert [number_of(cache, place) for place in (3, 3, 5, 3, 5)] == [3, 3, 5, 3, 5]
    assert read.read == [3, 5]


def test_the_least_recently_used_goes_first() -> None:
    read = Reader()
    cache = NetworkCache(read, 2)
    for place in (0, 1, 0, 2, 0, 1):
        assert number_of(cache, place) == place
    assert read.read == [0, 1, 2, 1]
    assert len(cache) == 2


def test_the_next_network_is_read_while_one_computes() -> None:
    was_read = {place: threading.Event() for place in range(2)}

    def read(place: int) -> Adding:
        was_read[place].set()
        return Adding(place)

    cache = NetworkCache(read, 2)
    cache.get(0)
    cache.prefetch(1)
    assert was_read[1].wait(10)


def test_nothing_is_read_ahead_where_there_is_room_for_one() -> None:
    read = Reader()
    cache = NetworkCache(read, 1)
    cache.prefetch(1)
    assert number_of(cache, 0) == 0
    assert read.read == [0]


def test_a_failure_is_told_and_tried_again() -> None:
    failures = [ModelError("damaged")]

    def read(place: int) -> Adding:
        if failures:
            raise failures.pop()
        return Adding(place)

    cache = NetworkCache(read, 2)
    with pytest.raises(ModelError, match="damaged"):
        cache.get(1)
    assert number_of(cache, 1) == 1


def test_one_network_is_kept_where_memory_runs_out() -> None:
    read = Reader()
    cache = NetworkCache(read, 4)
    for place in range(3):
        cache.get(place)
    assert cache.keep_only(1)
    assert not cache.keep_only(1)
    cache.prefetch(2)
    assert number_of(cache, 1) == 1
    assert read.read == [0, 1, 2]


def test_threads_get_what_they_ask_for() -> None:
    cache = NetworkCache(Reader(), 2)
    with ThreadPoolExecutor(4) as threads:
        places = [place % 5 for place in range(200)]
        assert list(threads.map(lambda place: number_of(cache, place), places)) == places
