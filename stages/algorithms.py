"""Versions of what commands compute: a change of more than rounding has to raise them.

Pipelines and resumed runs take what an equal version made, whatever else has changed in the code.
``tests/stages/test_algorithms.py`` compares what small runs write with what they wrote when the
version was last raised. ``report`` and what only draws has none: nothing is made of it.
"""

VERSIONS: dict[str, int] = {
    "demos": 1,
    "ghn-train": 2,
    "ghn-ppo": 2,
    "zoo-export": 2,
    "zoo-refine": 2,
    "zoo-alone": 2,
    "tokenize": 1,
    "diffuse-train": 2,
    "sample": 2,
    "rollout": 2,
    "baseline": 2,
    "flat-train": 1,
    "flat-sample": 1,
    "frontier": 3,
    "audit": 2,
}
