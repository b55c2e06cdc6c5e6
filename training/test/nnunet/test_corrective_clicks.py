import numpy as np
import pytest
import torch
from torch import nn

from lesionclick.model.encoding import EDTEncoding, UptakeEncoding
from lesionclick_training.augmentation.intensities import Intensities
from lesionclick_training.data.nnunet_layout import UNKNOWN
from lesionclick_training.nnunet.corrective_clicks import with_corrective_clicks

SHAPE = (16, 16, 16)

ENCODING = EDTEncoding(2)


class Threshold(nn.Module):
    """Calls lesion what has a positive PET; remembers what it was given, and whether it was in training."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[torch.Tensor] = []

    def forward(self, data: torch.Tensor) -> list[torch.Tensor]:
        assert not self.training
        assert not torch.is_grad_enabled()
        self.given.append(data)
        return [torch.stack([-data[:, 1], data[:, 1]], dim=1)]


def make_batch(samples: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """PET that has a hot ball without lesion and a faint lesion, the latter smaller; clicks somewhere else."""
    data = torch.full((samples, 4, *SHAPE), -1.0)
    data[:, 1, 2:7, 2:7, 2:7] = 1
    data[:, 2:] = 0.5
    lesion = torch.zeros((samples, *SHAPE), dtype=torch.int16)
    lesion[:, 10:13, 10:13, 10:13] = 1
    return data, lesion


def test_clicks_fall_where_the_network_errs() -> None:
    data, lesion = make_batch(60)
    network = Threshold()
    done = with_corrective_clicks(network, data, lesion, ENCODING, 1.0, np.random.default_rng(0))
    assert network.training
    assert torch.equal(data, make_batch(60)[0])
    assert torch.equal(done[:, :2], data[:, :2])
    healthy = ENCODING.encode(np.array([[4, 4, 4]]), SHAPE)  # its error is the largest, and stays so
    for sample in done:
        assert not sample[2].any()
        np.testing.assert_array_equal(sample[3], healthy)
    assert 1 < len(network.given) <= 3
    assert not network.given[0][:, 2:].any()
    assert network.given[1][:, 3].any()
    assert 60 > len(network.given[1]) > len(network.given[-1]) > 8  # rounds of 1, 2 and 3 alike


def test_corrective_clicks_show_uptake_in_suv() -> None:
    encoding, pet = UptakeEncoding(4), Intensities(mean=3.0, std=2.0, lower=0.0, upper=9.0)
    data, lesion = make_batch(1)
    data[:, 1] = -1
    done = with_corrective_clicks(Threshold(), data, lesion, encoding, 1.0, np.random.default_rng(0), pet)
    suv = 2 * data[0, 1].numpy() + 3
    np.testing.assert_allclose(done[0, 2], encoding.encode(np.array([[11, 11, 11]]), SHAPE, suv), atol=1e-6)


def test_a_missed_lesion_gets_a_tumor_click_and_a_right_guess_none() -> None:
    data, lesion = make_batch(2)
    data[:, 1] = -1
    data[1, 1][lesion[1] == 1] = 1
    done = with_corrective_clicks(Threshold(), data, lesion, ENCODING, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(done[0, 2], ENCODING.encode(np.array([[11, 11, 11]]), SHAPE))
    assert not done[0, 3].any()
    assert not done[1, 2:].any()


def test_what_nobody_knows_is_no_error() -> None:
    data, lesion = make_batch(1)
    lesion[:, :9] = UNKNOWN
    lesion[:, 9:] = 0
    done = with_corrective_clicks(Threshold(), data, lesion, ENCODING, 1.0, np.random.default_rng(0))
    assert not done[:, 2:].any()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_other_samples_keep_their_clicks(share: float) -> None:
    data, lesion = make_batch(200)
    done = with_corrective_clicks(Threshold(), data, lesion, ENCODING, share, np.random.default_rng(0))
    kept = sum(torch.equal(new, old) for new, old in zip(done, data, strict=True))
    assert kept == pytest.approx(200 * (1 - share), abs=15)
    assert kept == 200 or share
