import pytest

from lesionclick.inference.passes import Axes, Pass, combinations, first_networks, plan_passes, split_by_mirroring
from lesionclick.inference.settings import InferenceSettings, Mirroring, Networks

AXES: tuple[Axes, ...] = ((0, 1), (0, 1), (2,), (), (0,), (1,))
"""Of six networks, which may be mirrored along different axes."""


def settings(mirroring: str, networks: str) -> InferenceSettings:
    return InferenceSettings(mirroring=Mirroring(mirroring), networks=Networks(networks))


def test_combinations_of_axes_begin_with_none() -> None:
    assert combinations(()) == ((),)
    assert combinations((0, 2)) == ((), (0,), (2,), (0, 2))
    assert len(set(combinations((0, 1, 2)))) == 8


def test_the_first_networks_are_spread_over_the_folder() -> None:
    assert first_networks(10) == (0, 5)  # one of each of two trainings of five folds
    assert first_networks(2) == (0, 1)
    assert first_networks(1) == (0,)


@pytest.mark.parametrize("mirroring", list(Mirroring))
@pytest.mark.parametrize("networks", list(Networks))
@pytest.mark.parametrize("at_once", [True, False])
def test_every_mirroring_of_every_network_is_in_the_plan_once(mirroring: str, networks: str, at_once: bool) -> None:
    passes = plan_passes(AXES, settings(mirroring, networks), at_once=at_once)
    planned = sorted((each.network, axes) for each in passes for axes in each.mirrorings)
    allowed = [((),) if mirroring == "none" else combinations(axes) for axes in AXES]
    assert planned == sorted((network, axes) for network, each in enumerate(allowed) for axes in each)
    for network in range(len(AXES)):
        assert sum(each.weight for each in passes if each.network == network) == pytest.approx(1)


@pytest.mark.parametrize(
    ("mirroring", "networks", "everywhere"),
    [
        ("none", "all", [((),)] * 6),
        ("none", "adaptive", [((),), (), (), ((),), (), ()]),
        ("adaptive", "all", [((),)] * 6),
        ("adaptive", "adaptive", [((),), (), (), ((),), (), ()]),
        ("all", "all", [combinations(axes) for axes in AXES]),
        ("all", "adaptive", [combinations(AXES[0]), (), (), combinations(AXES[3]), (), ()]),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_what_every_tile_gets_comes_first(
    mirroring: str, networks: str, everywhere: list[tuple[Axes, ...]], at_once: bool
) -> None:
    passes = plan_passes(AXES, settings(mirroring, networks), at_once=at_once)
    found: list[tuple[Axes, ...]] = [()] * len(AXES)
    for each in passes:
        if each.everywhere:
            found[each.network] += each.mirrorings
    assert found == everywhere
    # first what every tile gets as it is, then what others get as they are, then mirrorings in the same order
    order = [(() not in each.mirrorings, not each.everywhere) for each in passes]
    assert order == sorted(order)
    assert sum(each.decides for each in passes) == sum(bool(each) for each in everywhere)


def test_all_mirrorings_of_a_network_are_one_pass_unless_there_is_a_deadline() -> None:
    every = settings("all", "all")
    assert [each.mirrorings for each in plan_passes(AXES, every)] == [combinations(axes) for axes in AXES]
    assert all(each.mirrorings == ((),) for each in plan_passes(AXES, every, at_once=False)[: len(AXES)])


def test_mirrorings_are_shared_out_between_networks() -> None:
    passes = [Pass(0, ((0,), (1,)), 0.5, True), Pass(1, ((2,),), 0.5, True)]
    assert split_by_mirroring(passes) == [
        Pass(0, ((0,),), 0.25, True),
        Pass(1, ((2,),), 0.5, True),
        Pass(0, ((1,),), 0.25, True),
    ]
