"""The line of recordings: bounded, and nobody's second before anybody's first."""

import pytest

from trainer.errors import UserError
from trainer.transcription.lane import Lane, Spot


def places(lane: Lane, *spots: Spot) -> list[int]:
    return [lane.place(spot) for spot in spots]


def test_one_at_a_time_in_order() -> None:
    lane = Lane()
    first, second, third = (lane.join(name, 5) for name in "abc")
    assert places(lane, first, second, third) == [0, 1, 2]
    lane.leave(second)
    assert places(lane, first, third) == [0, 1]
    lane.leave(first)
    assert places(lane, third) == [0]


def test_who_is_served_stays_so_and_firsts_come_before_seconds() -> None:
    lane = Lane()
    greedy = [lane.join("greedy", 9) for _ in range(3)]
    assert lane.place(greedy[0]) == 0
    other = lane.join("other", 9)
    assert places(lane, greedy[0], other, greedy[1], greedy[2]) == [0, 1, 2, 3]
    lane.leave(greedy[0])
    late = lane.join("late", 9)
    assert lane.place(greedy[1]) == 0, "the other one's and its own are both firsts now, and its own came first"
    assert places(lane, other, late, greedy[2]) == [1, 2, 3]


def test_a_full_lane_refuses_with_a_sentence_and_takes_the_next_when_one_has_left() -> None:
    lane = Lane()
    spots = [lane.join(number, 2) for number in range(2)]
    with pytest.raises(UserError, match="2 recordings wait already"):
        lane.join("late", 2)
    assert lane.place(spots[0]) == 0  # it waits no longer
    late = lane.join("late", 2)
    lane.leave(spots[0])
    lane.leave(spots[1])
    assert lane.place(late) == 0
