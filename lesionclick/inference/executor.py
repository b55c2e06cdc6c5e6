"""Executor: computes batches of tiles on the device, one at a time, with the networks that are in memory."""

import logging
import math
import threading

import torch

from lesionclick.case.memory import total_memory
from lesionclick.errors import DeviceError
from lesionclick.inference.backend import Network
from lesionclick.inference.engine import Engine
from lesionclick.inference.networks import NetworkCache
from lesionclick.model.folder import ModelFolder

logger = logging.getLogger(__name__)

ALL_NETWORKS_BYTES = 2 << 30
"""All networks of an ensemble are kept in host memory where their parameters take no more than this."""

ALL_NETWORKS_SHARE = 0.25
"""Likewise on a GPU, of the memory that it has free."""

HOST_SHARE = 1 / 6
"""Likewise of this machine's memory, where a process does nothing else than predict case after case: what compiled
networks and a large patch need comes on top, so that it is no more."""

BATCH_VOXELS = 1 << 21
"""Tiles and mirrorings go to a network together up to this many voxels: small ones alone leave a device idle."""


ORGAN_NETWORK = -1
"""Index under which the network for organs is kept: that of `ModelFolder.organ_fold`."""


class Executor:
    """The networks of a model folder at work on a device. Any number of threads may use it.

    Attributes:
        model: the networks' folder.
        engine: where and how they compute.
        networks: those in memory.
        batch_size: how many inputs to give to a network together; falls where the device's memory runs out.
    """

    def __init__(self, model: ModelFolder, engine: Engine, keep_networks: bool) -> None:
        """No network is in memory yet; see `Ensemble` for the arguments."""
        self.model = model
        self.engine = engine
        self.networks = NetworkCache(self._read_network, _network_capacity(model, engine, keep_networks))
        self.batch_size = max(1, BATCH_VOXELS // math.prod(model.patch))
        self._device_lock = threading.Lock()

    def _read_network(self, index: int) -> Network:
        if index == ORGAN_NETWORK:
            network = self.model.load(self.model.organ_fold, organs=True)
        else:
            network = self.model.load(self.model.folds[index])
        return self.engine.prepare(network, self.model.channels, self.model.patch)

    def compute(self, network: Network, batch: torch.Tensor) -> torch.Tensor:
        """What a network gives for a batch, see `Network`."""
        with self._device_lock:
            return network(batch)

    def keep_all(self) -> bool:
        """Keeps all networks from now on, if `HOST_SHARE` of the memory suffices; whether all are kept."""
        count = len(self.model.folds)
        if _networks_bytes(self.model, self.engine) <= HOST_SHARE * total_memory() and self.engine.device.type == "cpu":
            self.networks.capacity = max(self.networks.capacity, count)
        return self.networks.capacity >= count

    def free_memory(self, index: int) -> None:
        """Frees memory of the device by smaller batches or else by fewer networks.

        Args:
            index: of the network at work, which stays.

        Raises:
            DeviceError: nothing is left to give up.
        """
        if self.batch_size > 1:
            self.batch_size //= 2
            logger.info("memory of %s ran out: batches of %d from now on", self.engine.device, self.batch_size)
        elif self.networks.keep_only(index):
            logger.info("memory of %s ran out: one network at a time from now on", self.engine.device)
        else:
            tile = (self.model.channels, *self.model.patch)
            raise DeviceError(f"{self.engine.device} has too little memory for a tile of {tile}")


def _network_capacity(model: ModelFolder, engine: Engine, keep: bool) -> int:
    """How many networks to keep in memory: all where there is room for all, else as many as keep the device busy."""
    on_gpu = engine.device.type == "cuda"
    room = ALL_NETWORKS_SHARE * torch.cuda.mem_get_info(engine.device)[0] if on_gpu else ALL_NETWORKS_BYTES
    fits = _networks_bytes(model, engine) <= room
    if fits and (keep or on_gpu):
        return len(model.folds)
    # two large ones at a time would be too much for host memory, and there reading takes far less time than computing
    return 2 if fits or on_gpu else 1


def _networks_bytes(model: ModelFolder, engine: Engine) -> int:
    return engine.input_dtype.itemsize * model.parameters * len(model.folds)
