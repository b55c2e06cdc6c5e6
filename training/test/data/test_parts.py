import numpy as np

from lesionclick_training.data.parts import largest_part


def test_the_largest_of_several_parts_is_left() -> None:
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[0, 0, 0] = mask[6, 6, 6] = True
    mask[1, 1, 1] = True  # by a corner with the first
    expected = mask.copy()
    expected[6, 6, 6] = False
    assert np.array_equal(largest_part(mask), expected)
    assert np.array_equal(largest_part(expected), expected)
    assert not largest_part(np.zeros_like(mask)).any()
