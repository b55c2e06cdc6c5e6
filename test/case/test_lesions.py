import numpy as np

from lesionclick.case.lesions import label_lesions


def test_lesions_touch_by_faces_and_edges_but_not_by_corners() -> None:
    mask = np.zeros((5, 5, 5), np.uint8)
    mask[0, 0, 0] = mask[0, 0, 1] = mask[0, 1, 2] = 1  # a face, then an edge
    mask[1, 2, 3] = 1  # a corner
    numbers, count = label_lesions(mask)
    assert count == 2
    assert numbers.shape == mask.shape
    assert numbers[0, 0, 0] == numbers[0, 0, 1] == numbers[0, 1, 2] != numbers[1, 2, 3]
    np.testing.assert_array_equal(numbers > 0, mask > 0)


def test_an_empty_mask_has_no_lesion() -> None:
    numbers, count = label_lesions(np.zeros((2, 3, 4), bool))
    assert count == 0
    assert not numbers.any()
