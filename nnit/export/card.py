"""The card of one network for a model hub."""

import hashlib
import re

from nnit.export.policy import ExportedPolicy
from nnit.mlp import ACTION, format_architecture

_MARK = "<!-- made by nnit export -->"
_DIGEST = re.compile(rb", sha256 ([0-9a-f]{64})(?= -->)")  # within a mark


def is_card(data: bytes) -> bool:
    """Whether a file is one of ``card_text`` that nobody has edited."""
    return is_untouched(data, _MARK)


def with_digest(text: str, mark: str) -> str:
    """Put the digest of a card into its mark."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return text.replace(mark, mark.replace(" -->", f", sha256 {digest} -->"), 1)


def is_untouched(data: bytes, mark: str) -> bool:
    """Whether a file is a card with this mark, as it was written.

    Marks of earlier versions have no digest: with one of those every card passes.
    """
    plain = _DIGEST.sub(b"", data, count=1)
    if mark.encode() not in plain:
        return False
    found = _DIGEST.search(data)
    return found is None or found[1].decode() == hashlib.sha256(plain).hexdigest()


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
    text = f"""---
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
    return with_digest(text, _MARK)
