"""OpenVINO backend: networks on the CPU, converted node by node."""

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from lesionclick.errors import DeviceError, ModelError
from lesionclick.inference.backend import Precision
from lesionclick.inference.torch_backend import MODULES_LOCK

if TYPE_CHECKING:
    import openvino

STREAM_VOXELS = 96**3
"""Tiles up to this size are computed several at a time, a stream of OpenVINO each; larger ones have all cores."""

_OPENVINO_TYPES = {Precision.float32: "f32", Precision.bfloat16: "bf16", Precision.float16: "f16"}


def openvino_precision(wanted: Precision) -> Precision:
    """What the CPU computes in when asked for `wanted`; OpenVINO itself would fall back without a word."""
    import openvino

    core = openvino.Core()
    probe = openvino.opset14.parameter([1], np.float32)
    model = openvino.Model([openvino.opset14.relu(probe)], [probe], "probe")
    options = {} if wanted == Precision.auto else {"INFERENCE_PRECISION_HINT": _OPENVINO_TYPES[wanted]}
    taken = core.compile_model(model, "CPU", options).get_property("INFERENCE_PRECISION_HINT").get_type_name()
    (found,) = (precision for precision, name in _OPENVINO_TYPES.items() if name == taken)
    if wanted not in (Precision.auto, found):
        raise DeviceError(f"this CPU does not compute in {wanted} with openvino, expected --precision {found} or auto")
    return found


class OpenVINONetwork:
    """A network that OpenVINO computes on the CPU, several inputs at a time where they are small."""

    def __init__(self, network: nn.Module, shape: Sequence[int], precision: Precision) -> None:
        """Compiles a network.

        Args:
            network: see `to_openvino`.
            shape: of one input, (1, channel, z, y, x).
            precision: one that the CPU has, see `openvino_precision`.

        Raises:
            ModelError: the network holds something that is not supported.
        """
        import openvino

        options = {
            "INFERENCE_PRECISION_HINT": _OPENVINO_TYPES[precision],
            "PERFORMANCE_HINT": "THROUGHPUT" if np.prod(shape[2:]) <= STREAM_VOXELS else "LATENCY",
        }
        compiled = openvino.Core().compile_model(to_openvino(network, shape), "CPU", options)
        self._classes = compiled.output(0).shape[1]
        self._queue = openvino.AsyncInferQueue(compiled)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """See `Network`; one call at a time."""
        result = torch.empty((len(batch), self._classes, *batch.shape[2:]))
        values = result.numpy()

        def store(request: "openvino.InferRequest", index: int) -> None:
            values[index] = request.get_output_tensor().data[0]

        self._queue.set_callback(store)
        for index, sample in enumerate(batch.contiguous().numpy()):
            self._queue.start_async({0: sample[None]}, index, share_inputs=True)
        self._queue.wait_all()
        return result


def to_openvino(network: nn.Module, shape: Sequence[int]) -> "openvino.Model":
    """A network as a model of OpenVINO, node by node of its torch.fx graph.

    Takes a few hundredths of a second, where OpenVINO's own converter traces the network for several.

    Args:
        network: float32, of the modules that `_convert_module` knows; its weights are shared, not copied.
        shape: of the input, batch included.

    Raises:
        ModelError: the network has another module or function; the sentence names it.
    """
    import openvino
    from openvino import opset14 as ops

    values: dict[fx.Node, Any] = {}
    parameter = ops.parameter(list(shape), np.float32, "input")
    with MODULES_LOCK:
        graph = fx.symbolic_trace(network).graph
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = parameter
        elif node.op == "output":
            return openvino.Model([values[node.args[0]]], [parameter], type(network).__name__)
        elif node.op == "call_module":
            values[node] = _convert_module(network.get_submodule(node.target), values[node.args[0]])
        elif node.target in (operator.add, operator.iadd):
            values[node] = ops.add(*(values[each] for each in node.args))
        elif node.target is torch.cat:
            parts, axis = node.args
            values[node] = ops.concat([values[each] for each in parts], axis)
        else:
            raise _unsupported(node.target)
    raise AssertionError("a graph ends with its output")


def _convert_module(module: nn.Module, value: Any) -> Any:
    """The output of one module for an input of OpenVINO's."""
    from openvino import opset14 as ops

    def constant(tensor: torch.Tensor, shape: Sequence[int] | None = None) -> Any:
        return ops.constant((tensor if shape is None else tensor.view(*shape)).detach().numpy(), shared_memory=True)

    if isinstance(module, nn.Identity):
        return value
    if isinstance(module, nn.LeakyReLU):
        return ops.prelu(value, ops.constant([module.negative_slope], np.float32))
    if isinstance(module, nn.AvgPool3d) and module.padding == 0 and not module.ceil_mode:
        size, stride = (_triple(each) for each in (module.kernel_size, module.stride))
        return ops.avg_pool(value, stride, [0, 0, 0], [0, 0, 0], size, exclude_pad=False)
    per_channel = (1, -1, 1, 1, 1)
    if isinstance(module, nn.InstanceNorm3d) and not module.track_running_stats:
        value = ops.mvn(value, ops.constant([2, 3, 4], np.int64), True, module.eps, "inside_sqrt")
        if not module.affine:
            return value
        return ops.add(ops.multiply(value, constant(module.weight, per_channel)), constant(module.bias, per_channel))
    if isinstance(module, nn.Conv3d) and module.groups == 1 and not isinstance(module.padding, str):
        kernel, pads = constant(module.weight), list(module.padding)
        value = ops.convolution(value, kernel, list(module.stride), pads, pads, list(module.dilation))
    elif isinstance(module, nn.ConvTranspose3d) and module.groups == 1 and not any(module.output_padding):
        kernel, pads = constant(module.weight), _triple(module.padding)
        value = ops.convolution_backprop_data(
            value, kernel, list(module.stride), pads_begin=pads, pads_end=pads, dilations=list(module.dilation)
        )
    else:
        raise _unsupported(module)
    return value if module.bias is None else ops.add(value, constant(module.bias, per_channel))


def _unsupported(what: object) -> ModelError:
    return ModelError(f"backend openvino cannot compute {what}, expected a network without it or --backend torch")


def _triple(value: Any) -> list[int]:
    return [value] * 3 if isinstance(value, int) else list(value)
