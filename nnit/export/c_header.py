"""A network as one header of C99, for microcontrollers: no library, no heap.

Weights are stored by input unit, so that a layer adds a row for each input that is not 0: with
ReLU many are, and compilers make vectors of the inner loop without reordering sums.
"""

import re
from collections.abc import Iterator

import numpy as np

from nnit.export.policy import ExportedPolicy
from nnit.mlp import ACTION, format_architecture, split_layers

_MARK = "made by nnit export"
_PER_LINE = 8


def is_header(data: bytes) -> bool:
    """Whether a file begins as those of ``header_text``."""
    return data.startswith(f"/* {_MARK}".encode())


def c_name(policy: ExportedPolicy) -> str:
    """Return what all names in the header of a network begin with."""
    return re.sub(r"\W", "_", policy.name)


def header_text(policy: ExportedPolicy) -> str:
    """Return the header: ``NAME_act(observation, action)``, and the sizes of both.

    Of classes it is ``int NAME_act(observation, logits)``, which returns the class. What is not a
    number becomes 0, as in ``MlpPolicy``. It is C++ as well.
    """
    name, interface = c_name(policy), policy.interface
    layers = split_layers(interface.spec(policy.network.hidden_dims), policy.network.weights)
    arrays = {"obs_mean": np.asarray(interface.obs_mean), "obs_std": np.asarray(interface.obs_std)}
    for k, (weight, bias) in enumerate(layers):
        arrays |= {f"weight_{k}": weight.T, f"bias_{k}": bias}
    if interface.recorded is not None:
        arrays |= {"middle": interface.recorded.middle, "half": interface.recorded.half}
    guard = f"{name.upper()}_H"
    parts = [
        *_comment(policy),
        f"#ifndef {guard}\n#define {guard}\n\n#include <stddef.h>\n",
        f"#define {name.upper()}_OBS_DIM {interface.obs_dim}",
        f"#define {name.upper()}_ACT_DIM {interface.act_dim}\n",
        *(line for key, array in arrays.items() for line in _array(f"{name}_{key}", array)),
        _FUNCTIONS.replace("NAME", name),
        *_act(policy),
        f"\n#endif /* {guard} */\n",
    ]
    return "\n".join(parts)


def _comment(policy: ExportedPolicy) -> Iterator[str]:
    """Say what the network is for and what it takes."""
    interface, setting = policy.interface, policy.setting
    shape = format_architecture(policy.network.hidden_dims)
    yield f"/* {_MARK}: an MLP of {shape} for {interface.task}, {interface.control_mode}"
    if setting.control_freq:
        yield f" * to be asked {setting.control_freq} times a second"
    yield f" * numbers: {policy.num_bytes} bytes, stack: {4 * sum(_buffers(policy))} bytes"
    for part in setting.layout:
        yield f" * observation[{part.start}..{part.start + part.length - 1}]: {part.name}"
    yield " */"


def _array(name: str, array: np.ndarray) -> Iterator[str]:
    """Write an array, eight numbers a line."""
    numbers = [_literal(number) for number in array.reshape(-1)]
    yield f"static const float {name}[{len(numbers)}] = {{"
    for start in range(0, len(numbers), _PER_LINE):
        yield ",".join(numbers[start : start + _PER_LINE]) + ","
    yield "};"


def _literal(number: float) -> str:
    """Write a float32 in the fewest digits that read back as the same."""
    return f"{np.float32(number)!s}f"


def _buffers(policy: ExportedPolicy) -> tuple[int, int]:
    """Return how many numbers the two buffers between layers hold."""
    widest = max(policy.network.hidden_dims)
    return max(widest, policy.interface.obs_dim), widest


# Comparisons are such that NaN passes through them, up to the end.
_FUNCTIONS = """
static float NAME_clip(float x, float bound) {
    return x > bound ? bound : x < -bound ? -bound : x;
}

static void NAME_layer(const float *weight, const float *bias, size_t inputs, size_t outputs,
                       const float *x, float *y) {
    size_t i, j;
    for (j = 0; j < outputs; j++) y[j] = bias[j];
    for (i = 0; i < inputs; i++, weight += outputs) {
        const float value = x[i];
        if (value == 0.0f) continue;
        for (j = 0; j < outputs; j++) y[j] += value * weight[j];
    }
}

static void NAME_relu(float *x, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) x[i] = x[i] < 0.0f ? 0.0f : x[i];
}
"""


def _act(policy: ExportedPolicy) -> Iterator[str]:
    """Write the one function that is for others."""
    name, interface = c_name(policy), policy.interface
    spec = interface.spec(policy.network.hidden_dims)
    is_action = interface.output == ACTION
    kind, out = ("void", "action") if is_action else ("int", "logits")
    first, second = _buffers(policy)
    yield f"static {kind} {name}_act(const float *observation, float *{out}) {{"
    yield f"    float a[{first}], b[{second}];"
    yield "    size_t i;" if is_action else "    size_t i, best = 0;"
    yield f"    for (i = 0; i < {interface.obs_dim}; i++) {{"
    yield f"        a[i] = (observation[i] - {name}_obs_mean[i]) / {name}_obs_std[i];"
    yield f"        a[i] = {name}_clip(a[i], {_literal(interface.obs_clip)});"
    yield "    }"
    x, y = "a", "b"
    for k, (fan_out, fan_in) in enumerate(spec.layers):
        y = out if k == spec.depth else y
        arrays = f"{name}_weight_{k}, {name}_bias_{k}"
        yield f"    {name}_layer({arrays}, {fan_in}, {fan_out}, {x}, {y});"
        if k < spec.depth:
            yield f"    {name}_relu({y}, {fan_out});"
        x, y = y, x
    yield f"    for (i = 0; i < {interface.act_dim}; i++) {{"
    if is_action:
        yield f"        {out}[i] = {name}_clip({out}[i], {_literal(interface.action_clip)});"
    yield f"        if ({out}[i] != {out}[i]) {out}[i] = 0.0f;"
    if interface.recorded is not None:
        yield f"        {out}[i] = {name}_middle[i] + {name}_half[i] * {out}[i];"
    if not is_action:
        yield f"        if ({out}[i] > {out}[best]) best = i;"
    yield "    }"
    if not is_action:
        yield "    return (int)best;"
    yield "}"
