"""The card of one network for a model hub."""

from nnit.export.policy import ExportedPolicy
from nnit.mlp import ACTION, format_architecture

_MARK = "<!-- made by nnit export -->"


def is_card(data: bytes) -> bool:
    """Whether a file is one of ``card_text``."""
    return _MARK.encode() in data


def card_text(policy: ExportedPolicy, kind: str, digest: str) -> str:
    """Return ``README.md``, with the front matter that model hubs read.

    Args:
        policy: The network.
        kind: Of the artifact that it comes from.
        digest: Of the same.
    """
    interface, setting = policy.interface, policy.setting
    shape = format_architecture(policy.network.hidden_dims)
    numbers = interface.spec(policy.network.hidden_dims).num_parameters
    is_action = interface.output == ACTION
    output = f"{interface.act_dim} " + ("numbers of an action" if is_action else "classes")
    freq = f"{setting.control_freq} Hz" if setting.control_freq else "not known"
    return f"""---
library_name: nnit
{"pipeline_tag: robotics" + chr(10) if is_action else ""}tags:
- mlp
- weight-generation
---
{_MARK}

# {interface.task}, {shape}

An MLP with hidden layers of {shape} units and ReLU, for one task.

| | |
|---|---|
| task | {interface.task} |
| control mode | {interface.control_mode} |
| control frequency | {freq} |
| observation | {interface.obs_dim} numbers |
| output | {output} |
| parameters | {numbers:,} |
| out of | {kind} `{digest}` |

```console
$ nnit pull OWNER/NAME --out policy
$ nnit rollout policy
```

`config.json` has the scaling of observations, the bounds of actions, what each slice of the
observation is, and ten observations with the answers to them: a port that gives those is right.
`model.safetensors` holds `0.weight`, `0.bias`, `2.weight`, ..., as `torch.nn.Sequential(Linear,
ReLU, Linear, ...)` names them. `nnit.json` has the SHA-256 of both; `nnit pull` takes no others.
"""
