"""Which ids of tasks an artifact may hold.

An id out of a file is looked up, and never is a file to run, a path or a module to import: who
sends an artifact does not get to say what runs.
"""

import re

MAX_LENGTH = 100
GYM_PREFIX = "gym:"
SEPARATOR = "@"  # between a task of ManiSkill and its control mode
FILE_SUFFIX = ".py"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ELSEWHERE = re.compile(r"gym:[\w-]+(/[\w-]+)?-v\d+|[\w-]+@[a-z_]+", re.ASCII)


def is_stored_task_id(text: str) -> bool:
    """Whether an artifact may hold this id: a plain name, or one that ``is_found_elsewhere``."""
    plain = _PLAIN.fullmatch(text) and not text.lower().endswith(FILE_SUFFIX)
    return len(text) <= MAX_LENGTH and (bool(plain) or is_found_elsewhere(text))


def is_found_elsewhere(text: str) -> bool:
    """Whether this is the form of an id of Gymnasium's or ManiSkill's registry, and of no module.

    As in ``gym:CartPole-v1`` and ``RollBall-v1@pd_joint_delta_pos``.
    """
    return _ELSEWHERE.fullmatch(text) is not None
