"""What the two trainings share: schedule, determinism, and state as named arrays."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

MAX_GRADIENT = 1.0
Model = TypeVar("Model", bound=nn.Module)
BFLOAT16 = "bfloat16"
BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")


def one_cycle(step: int, total_steps: int, peak: float) -> float:
    """Return the learning rate of a step: up from ``peak / 25`` over 30 %, cosine down to 0.

    A function of the step alone, so that a resumed training needs no schedule state.

    Source: Smith & Topin 2019, "Super-Convergence" (arXiv:1708.07120), cosine form.
    """
    warm_up = 0.3 * total_steps
    if step < warm_up:
        share = 0.5 * (1 - math.cos(math.pi * step / warm_up))
        return peak * (1 / 25 + (1 - 1 / 25) * share)
    share = (step - warm_up) / max(1.0, total_steps - warm_up)
    return peak * 0.5 * (1 + math.cos(math.pi * share))


def prepare_torch() -> None:
    """Make training repeatable and free of denormals, which slow a CPU down eight times.

    One thread on a CPU, however many cores a machine has or lends: sums are split among threads,
    so that the last bits of a result depend on their number.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    # As use_deterministic_algorithms, which imports the compiler for it, in a second and more.
    torch.set_deterministic_debug_mode("warn")
    # The deterministic mode also fills fresh memory, which only code that reads it needs.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def forget_preparation() -> None:
    """Undo ``prepare_torch``, so that what comes next finds torch as in a fresh worker."""
    torch.set_flush_denormal(False)
    torch.set_deterministic_debug_mode("default")
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]


def build_optimizer(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW over all parameters; the learning rate is set at each step."""
    return torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=weight_decay, fused=True)


def optimise(optimizer: torch.optim.Optimizer, loss: Tensor, *learning_rates: float) -> None:
    """Take one step down the gradient of ``loss``; that of each group is clipped to norm 1.

    Args:
        optimizer: Over all parameters, in one group or several.
        loss: What is minimised.
        learning_rates: One of each group.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    take_step(optimizer, *learning_rates)


def take_step(optimizer: torch.optim.Optimizer, *learning_rates: float) -> None:
    """Take a step down the gradients that are there; that of each group is clipped to norm 1."""
    for group, rate in zip(optimizer.param_groups, learning_rates, strict=True):
        group["lr"] = rate
        nn.utils.clip_grad_norm_(group["params"], MAX_GRADIENT)
    optimizer.step()


def model_arrays(model: nn.Module) -> dict[str, np.ndarray]:
    """Return the parameters and buffers of a model by name, as float32 arrays."""
    return {
        name: tensor.detach().cpu().numpy().copy() for name, tensor in model.state_dict().items()
    }


class ShapesAlone(TorchFunctionMode):
    """Draws and scales nothing: on the meta device torch imports its compiler for that."""

    def __torch_function__(
        self,
        func: Callable[..., Tensor],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Call a function of torch, or leave a tensor as it is."""
        del types
        given = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return given["tensor"]
        if func in (Tensor.mul, Tensor.__mul__) and isinstance(args[1], int | float):
            return args[0]
        return (torch.empty if func is torch.randn else func)(*args, **given)


def build_from_arrays(build: Callable[[], Model], arrays: dict[str, np.ndarray]) -> Model:
    """Build a model and load its arrays, after comparing their shapes without taking memory.

    Args:
        build: Makes the model, freshly initialised.
        arrays: As ``model_arrays`` returned them.

    Raises:
        RuntimeError: names or shapes are not those of the model.
    """
    with torch.device("meta"), ShapesAlone():
        expected = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    for name in sorted(expected.keys() | arrays.keys()):
        found = arrays[name].shape if name in arrays else None
        if found != expected.get(name):
            raise RuntimeError(f"{name}: found {found}, expected {expected.get(name)}")
    model = build()
    load_model_arrays(model, arrays)
    return model


def load_model_arrays(model: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Inverse of ``model_arrays``.

    Raises:
        RuntimeError: names or shapes are not those of the model.
    """
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})


def training_arrays(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """Return everything that the next step depends on, by name."""
    arrays = {f"model/{name}": array for name, array in model_arrays(model).items()}
    for index, state in optimizer.state_dict()["state"].items():
        for key, tensor in state.items():
            arrays[f"optimizer/{index}/{key}"] = tensor.detach().cpu().numpy().copy()
    return arrays


def load_training_arrays(
    model: nn.Module, optimizer: torch.optim.Optimizer, arrays: dict[str, np.ndarray]
) -> None:
    """Inverse of ``training_arrays``."""
    prefix = "model/"
    load_model_arrays(
        model, {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    )
    state: dict[int, dict[str, Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = torch.from_numpy(array.copy())
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def precision_of(precision: str, device: str) -> str:
    """Decide in which type matrix products are: ``float32`` or ``bfloat16``.

    Args:
        precision: ``float32``, ``bfloat16``, or ``auto``: where the hardware multiplies bfloat16
            matrices much faster, on a GPU and on CPUs with AMX or AVX-512 BF16.
        device: ``cpu`` or ``cuda:0``.
    """
    if precision != "auto":
        return precision
    capabilities = torch.cpu.get_capabilities()
    fast = device != "cpu" or any(capabilities.get(name) for name in BFLOAT16_INSTRUCTIONS)
    return BFLOAT16 if fast else "float32"
