"""Leases: how many, how long, and what counts as a sign of life."""

import threading

import pytest

from lesionclick.server.nninteractive_leases import LeaseGoneError, LeaseLimits, Leases, NoFreeLeaseError

LIMITS = LeaseLimits(most=2, idle_seconds=600, silent_seconds=60)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases[list[int]]:
    return Leases(LIMITS, list[int], clock)


def test_no_more_than_allowed_and_one_that_is_given_back_is_free_again(leases: Leases[list[int]]) -> None:
    first, second = leases.claim(), leases.claim()
    assert first.token != second.token
    assert len(first.token) == 32
    with pytest.raises(NoFreeLeaseError, match="2 viewers are connected"):
        leases.claim()
    leases.release(first.token)
    leases.release(first.token)  # once more does no harm
    assert leases.claim().token not in (first.token, second.token)
    with pytest.raises(LeaseGoneError, match="has ended"), leases.at_work(first.token):
        pass


@pytest.mark.parametrize("token", [None, "", "0" * 32])
def test_a_token_that_nobody_was_given_is_gone(leases: Leases[list[int]], token: str | None) -> None:
    leases.claim()
    with pytest.raises(LeaseGoneError):
        leases.remaining_seconds(token)
    with pytest.raises(LeaseGoneError), leases.at_work(token):
        pass
    leases.release(token)
    assert len(leases) == 1


def test_a_silent_viewer_loses_its_lease_and_heartbeats_keep_it(leases: Leases[list[int]], clock: Clock) -> None:
    silent, beating = leases.claim(), leases.claim()
    for _ in range(4):
        clock.now += 20
        leases.remaining_seconds(beating.token, heard=True)
        leases.remaining_seconds(beating.token)
    assert len(leases) == 1
    with pytest.raises(LeaseGoneError):
        leases.remaining_seconds(silent.token)


def test_asking_how_long_a_lease_lasts_is_no_sign_of_life(leases: Leases[list[int]], clock: Clock) -> None:
    lease = leases.claim()
    clock.now += 50
    assert leases.remaining_seconds(lease.token) == 550
    clock.now += 11
    with pytest.raises(LeaseGoneError):
        leases.remaining_seconds(lease.token)


def test_heartbeats_alone_do_not_keep_an_idle_lease_and_an_action_does(leases: Leases[list[int]], clock: Clock) -> None:
    idle, active = leases.claim(), leases.claim()
    for beat in range(1, 16):
        clock.now += 41
        with leases.at_work(active.token):
            pass
        if beat < 15:
            assert leases.remaining_seconds(idle.token, heard=True) == 600 - 41 * beat
    with pytest.raises(LeaseGoneError):
        leases.remaining_seconds(idle.token, heard=True)
    assert leases.remaining_seconds(active.token) == 600


def test_a_lease_at_work_does_not_end_and_its_time_begins_when_the_work_is_done(
    leases: Leases[list[int]], clock: Clock
) -> None:
    lease = leases.claim()
    with leases.at_work(lease.token) as held:
        assert held is lease.held
        clock.now += 10_000
        assert leases.remaining_seconds(lease.token, heard=True) == 600
    clock.now += 59
    assert leases.remaining_seconds(lease.token) == 541


def test_actions_of_one_viewer_take_turns_and_none_begins_after_release(leases: Leases[list[int]]) -> None:
    lease = leases.claim()
    began, refused = threading.Event(), list[Exception]()

    def wait_for_turn() -> None:
        began.set()
        try:
            with leases.at_work(lease.token):
                pass
        except LeaseGoneError as error:
            refused.append(error)

    with leases.at_work(lease.token):
        other = threading.Thread(target=wait_for_turn)
        other.start()
        began.wait(10)
        assert leases.remaining_seconds(lease.token, heard=True) == 600  # answered though an action is under way
        while lease.at_work < 2:
            pass
        leases.release(lease.token)
    other.join(10)
    assert len(refused) == 1
