"""A network as an ONNX graph: scaling, clipping and the choice of a class are inside.

Written node by node: the same network gives the same bytes, in hundredths of a second.
"""

from typing import TYPE_CHECKING

import numpy as np

from nnit import __version__
from nnit.errors import UsageError
from nnit.export.policy import OBSERVATION, OUTPUTS, Answers, ExportedPolicy, about
from nnit.mlp import ACTION, split_layers

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

OPSET, IR_VERSION = 17, 8  # of 2022, so that older runtimes of robots read them
MAX_BYTES = 2**31 - 2**20  # a message of protobuf is below 2 GiB
_HEAD = b"\x08\x08\x12\x04nnit\x1a"  # IR version 8, producer "nnit", then its version


def is_onnx(data: bytes) -> bool:
    """Whether a file begins as those of ``onnx_bytes``."""
    return data.startswith(_HEAD)


def onnx_bytes(policy: ExportedPolicy) -> bytes:
    """Return an ONNX model ``observation (batch, obs_dim) -> action (batch, act_dim)``.

    Of classes it has two outputs: ``logits (batch, act_dim)`` and ``class (batch,)``, int64. What
    is not a number becomes 0, as in ``MlpPolicy``. Its metadata say what the network is for.

    Raises:
        UsageError: the network is too large for one file.
    """
    if policy.num_bytes > MAX_BYTES:
        raise UsageError(f"--onnx: {policy.name}: a file of ONNX holds less than 2 GiB")
    import onnx
    from onnx import TensorProto, helper

    interface = policy.interface
    logits, *choice = OUTPUTS[interface.output]
    declare = helper.make_tensor_value_info
    inputs = [declare(OBSERVATION, TensorProto.FLOAT, ["batch", interface.obs_dim])]
    outputs = [declare(logits, TensorProto.FLOAT, ["batch", interface.act_dim])]
    outputs += [declare(name, TensorProto.INT64, ["batch"]) for name in choice]
    nodes, numbers = _nodes(policy, logits)
    nodes += [helper.make_node("ArgMax", [logits], [n], axis=1, keepdims=0) for n in choice]
    model = helper.make_model(
        helper.make_graph(nodes, "policy", inputs, outputs, numbers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="nnit",
        producer_version=__version__,
    )
    helper.set_model_props(model, about(policy))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _nodes(policy: ExportedPolicy, output: str) -> "tuple[list[NodeProto], list[TensorProto]]":
    """Return the nodes from the observation to the outputs, and the numbers that they use."""
    from onnx import helper, numpy_helper

    interface = policy.interface
    numbers = {"obs_mean": interface.obs_mean, "obs_std": interface.obs_std, "zero": 0.0}
    nodes, value = [], OBSERVATION

    def then(kind: str, *operands: str, to: str) -> None:
        nonlocal value
        nodes.append(helper.make_node(kind, [value, *operands], [to]))
        value = to

    def clip(bound: float, name: str) -> None:
        numbers[f"{name}.low"], numbers[f"{name}.high"] = -bound, bound
        then("Clip", f"{name}.low", f"{name}.high", to=f"{name}.out")

    then("Sub", "obs_mean", to="centred")
    then("Div", "obs_std", to="scaled")
    clip(interface.obs_clip, "obs_clip")
    layers = split_layers(interface.spec(policy.network.hidden_dims), policy.network.weights)
    for k, layer in enumerate(layers):
        name = str(2 * k)  # as in the network's safetensors
        numbers[f"{name}.weight"], numbers[f"{name}.bias"] = layer
        then("Gemm", f"{name}.weight", f"{name}.bias", to=f"{name}.out")
        nodes[-1].attribute.append(helper.make_attribute("transB", 1))
        if k < len(layers) - 1:
            then("Relu", to=f"{2 * k + 1}.out")
    if interface.output == ACTION:
        clip(interface.action_clip, "action_clip")
    nodes.append(helper.make_node("IsNaN", [value], ["is_nan"]))
    finite = output if interface.recorded is None else "finite"
    nodes.append(helper.make_node("Where", ["is_nan", "zero", value], [finite]))
    if interface.recorded is not None:
        value = finite
        numbers["action_half"] = interface.recorded.half
        numbers["action_middle"] = interface.recorded.middle
        then("Mul", "action_half", to="moved")
        then("Add", "action_middle", to=output)
    tensors = [
        numpy_helper.from_array(np.asarray(array, np.float32), name)
        for name, array in numbers.items()
    ]
    return nodes, tensors


def onnx_answers(data: bytes, observations: np.ndarray) -> Answers:
    """Return what a model answers to raw observations ``(N, obs_dim)``, by onnxruntime on a CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(data, options, providers=providers)
    outputs, *choice = session.run(None, {OBSERVATION: observations})
    return Answers(np.asarray(outputs), np.asarray(choice[0]) if choice else None)
