import torch

from lesionclick_training.augmentation.unknown_outside import UnknownOutside
from lesionclick_training.data.nnunet_layout import UNKNOWN

OUTSIDE = -1


def test_the_outside_is_unknown_where_all_of_the_image_is() -> None:
    segmentation = torch.zeros((2, 4, 5, 6), dtype=torch.int16)
    segmentation[1] = UNKNOWN
    segmentation[:, 2:] = OUTSIDE
    done = UnknownOutside()(segmentation=segmentation.clone())["segmentation"]
    assert torch.equal(done[0], segmentation[0])
    assert (done[1] == UNKNOWN).all()
    assert done.dtype == torch.int16


def test_the_outside_stays_where_something_is_known() -> None:
    segmentation = torch.full((2, 4, 5, 6), UNKNOWN, dtype=torch.int16)
    segmentation[:, 2:] = OUTSIDE
    segmentation[0, 0, 0, 0] = 0
    segmentation[1, 0, 0, 0] = 5
    assert torch.equal(UnknownOutside()(segmentation=segmentation.clone())["segmentation"], segmentation)


def test_a_patch_without_any_image_stays() -> None:
    segmentation = torch.full((2, 4, 5, 6), OUTSIDE, dtype=torch.int16)
    assert torch.equal(UnknownOutside()(segmentation=segmentation.clone())["segmentation"], segmentation)
