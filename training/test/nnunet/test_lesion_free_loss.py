import pytest
import torch
from torch import nn

from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.lesion_free_loss import LesionFreeLoss, penalize_made_up

SIZE = 20  # 8000 voxels, of which 8 count


def make_samples() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of two samples, lesions and organs, and labels: the first has a lesion, the second none."""
    output = torch.randn((2, 13, SIZE, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
    segmentation = torch.zeros((2, 2, SIZE, SIZE, SIZE), dtype=torch.int16)
    segmentation[0, 0, 3:6, 3:6, 3:6] = 1
    return output.requires_grad_(), segmentation


class NoLoss(nn.Module):
    def forward(self, outputs: list[torch.Tensor], segmentations: list[torch.Tensor]) -> torch.Tensor:
        return torch.zeros(())


def test_made_up_lesions_have_a_gradient_and_nothing_else_has() -> None:
    output, segmentation = make_samples()
    LesionFreeLoss(NoLoss(), 2.0)([output], [segmentation]).backward()
    assert output.grad is not None
    assert not output.grad[0].any()  # of the sample with a lesion
    assert not output.grad[1, 2:].any()  # of organs
    assert (output.grad[1, 1] > 0).sum() == 8
    assert output.grad[1, 1].flatten().argmax() in output[1, 1].sub(output[1, 0]).flatten().topk(8).indices


def test_the_penalty_is_the_mean_of_the_highest_probabilities() -> None:
    output, segmentation = make_samples()
    probability = output.detach()[1, :2].softmax(0)[1].flatten().sort(descending=True).values
    found = LesionFreeLoss(NoLoss(), 0.5)([output], [segmentation])
    torch.testing.assert_close(found.detach(), 0.5 * probability[:8].mean() / 2)


def test_samples_with_lesions_keep_their_loss() -> None:
    output, segmentation = make_samples()
    loss = LesionFreeLoss(NoLoss(), 1.0)
    assert loss([output[:1]], [segmentation[:1]]) == 0


@pytest.mark.parametrize("everywhere", [False, True])
def test_what_nobody_knows_is_not_made_up(everywhere: bool) -> None:
    output, segmentation = make_samples()
    segmentation[1, 0, slice(None) if everywhere else slice(10)] = UNKNOWN
    LesionFreeLoss(NoLoss(), 1.0)([output], [segmentation]).backward()
    assert output.grad is not None
    assert not output.grad[1, :, :10].any()
    assert output.grad[1, :, 10:].any() != everywhere


def test_lesions_alone_are_judged_too() -> None:
    output, segmentation = make_samples()
    torch.testing.assert_close(
        penalize_made_up(output[:, :2], segmentation[:, :1]), penalize_made_up(output, segmentation)
    )
