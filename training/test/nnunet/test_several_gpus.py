"""A batch split over several processes, as nnU-Net splits it over GPUs; here two processes on the CPU."""

import json
from pathlib import Path
from unittest import mock

import pytest
import torch
from helpers_training import DATASET, TINY, make_workspace, tiny_environment
from nnunetv2.run.run_training import get_trainer_from_args
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as nnunet
from torch import distributed
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from lesionclick_training.nnunet.network_sizes import CONFIGURATION
from lesionclick_training.nnunet.settings import TrainingSettings
from lesionclick_training.nnunet.variants import Variant

SETTINGS = TrainingSettings(epochs=1, iterations=2, val_iterations=1, initial_lr=0.01, seed=4)


def train_one_of_two(rank: int, folder: Path) -> None:
    """What nnU-Net's `run_ddp` does in each process, on the CPU; what came of it goes to the folder."""
    torch.set_num_threads(1)
    trainer = get_trainer_from_args(
        str(DATASET), CONFIGURATION, 0, Variant.EDT2.trainer_name, TINY.plans_name, device=torch.device("cpu")
    )
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    trainer.is_ddp, trainer.local_rank = True, rank
    with mock.patch.object(nnunet, "DDP", lambda network, device_ids: DistributedDataParallel(network)):
        trainer.initialize()
    trainer.run_training()
    torch.save(trainer.network.module.state_dict(), folder / f"{rank}.pth")
    facts = [trainer.batch_size, trainer.oversample_foreground_percent, trainer.settings.to_environment()]
    (folder / f"{rank}.json").write_text(json.dumps(facts))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_one_network_with_a_sample_each(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    with tiny_environment(), workspace.exported(), SETTINGS.exported():
        spawn(train_one_of_two, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    facts = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert [batch_size for batch_size, _, _ in facts] == [1, 1]
    assert [share for _, share, _ in facts] == [0.0, 1.0]  # of two patches nnU-Net lays one around a lesion
    assert all(variables == SETTINGS.to_environment() for _, _, variables in facts)

    plans = workspace.preprocessed / f"Dataset{DATASET}_Tiny" / f"{TINY.plans_name}.json"
    final = workspace.model_folder(Variant.EDT2, plans) / "fold_0" / "checkpoint_final.pth"
    written = torch.load(final, weights_only=False)["network_weights"]
    for rank in (0, 1):
        for name, value in torch.load(tmp_path / f"{rank}.pth").items():
            assert torch.equal(value, written[name]), (rank, name)
