"""Passes: which network sees which tiles, mirrored along which axes, and in what order."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lesionclick.inference.settings import InferenceSettings, Mirroring, Networks

FIRST_NETWORKS = 2
"""How many networks see every tile with `Networks.adaptive`."""

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Pass:
    """One network over tiles, averaged over some of its mirrorings.

    Attributes:
        network: its index in the model folder.
        mirrorings: the axes of each mirroring, () for the tile as it is.
        weight: their share of all mirrorings of the network.
        everywhere: whether quiet tiles, in which no network that has seen them found anything, get it too.
    """

    network: int
    mirrorings: tuple[Axes, ...]
    weight: float
    everywhere: bool

    @property
    def decides(self) -> bool:
        """Whether it is one of those by which it is decided what is quiet."""
        return self.everywhere and () in self.mirrorings


def plan_passes(mirror_axes: Sequence[Axes], settings: InferenceSettings, *, at_once: bool = True) -> list[Pass]:
    """All passes that a tile can get, in the order in which their results are summed.

    With `Mirroring.all` a network sees a tile in all mirrorings at once, as in nnU-Net, on whose rounding of each
    network's mean the result depends in a volume's outermost corners. Else every network first sees tiles as they are,
    those networks first that see every tile: what is quiet is known before anything is mirrored.

    Args:
        mirror_axes: of each network, the axes along which it may be mirrored.
        settings: which tiles all networks see, and which mirrored.
        at_once: False to plan for a deadline: with `Mirroring.all` too networks first see tiles as they are.
    """
    networks = range(len(mirror_axes))
    first = networks if settings.networks == Networks.all else first_networks(len(networks))
    order = [*first, *(network for network in networks if network not in first)]
    plain, mirrored = [], []
    for network in order:
        mirrorings = combinations(mirror_axes[network] if settings.mirroring != Mirroring.none else ())
        if settings.mirroring == Mirroring.all and at_once:
            plain.append(Pass(network, mirrorings, 1.0, everywhere=network in first))
            continue
        share = 1 / len(mirrorings)
        plain.append(Pass(network, mirrorings[:1], share, everywhere=network in first))
        if mirrorings[1:]:
            everywhere = settings.mirroring == Mirroring.all and network in first
            mirrored.append(Pass(network, mirrorings[1:], 1 - share, everywhere))
    return [each for passes in (plain, mirrored) for each in sorted(passes, key=lambda each: not each.everywhere)]


def first_networks(count: int, wanted: int = FIRST_NETWORKS) -> tuple[int, ...]:
    """The indices of the networks that see every tile: spread evenly, so that each training of a folder has a share."""
    taken = min(count, wanted)
    return tuple(index * count // taken for index in range(taken))


def split_by_mirroring(passes: Sequence[Pass]) -> list[Pass]:
    """A pass for each mirroring: every network's first, then every network's second, and so on."""
    single = [
        (index, Pass(each.network, (axes,), each.weight / len(each.mirrorings), each.everywhere))
        for each in passes
        for index, axes in enumerate(each.mirrorings)
    ]
    return [each for _, each in sorted(single, key=lambda item: item[0])]


def combinations(axes: Axes) -> tuple[Axes, ...]:
    """Every subset of the axes, the empty one first."""
    return tuple(subset for count in range(len(axes) + 1) for subset in itertools.combinations(axes, count))
