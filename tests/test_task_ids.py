"""Ids of tasks that an artifact may hold."""

import pytest

from nnit.task_ids import is_stored_task_id


@pytest.mark.parametrize(
    ("task_id", "held"),
    [
        ("Reach", True),
        ("my-task_2.0", True),
        ("gym:CartPole-v1", True),
        ("gym:ALE/Pong-v5", True),
        ("RollBall-v1@pd_joint_delta_pos", True),
        ("a" * 100, True),
        ("a" * 101, False),
        ("", False),
        (".", False),
        ("../t", False),
        ("a/b", False),
        ("a b", False),
        ("a\n", False),
        ("helper.py", False),
        ("helper.Py", False),
        ("x@helper.py", False),
        ("x@pd_joint_pos\n", False),
        ("x@y/z", False),
        ("gym:module:Env-v0", False),
        ("gym:a/b/Env-v0", False),
        ("gym:../Env-v0", False),
        ("gym:Env-v\u0661", False),
        ("gym:Envé-v1", False),
    ],
)
def test_ids_that_an_artifact_may_hold(task_id, held):
    """Plain names, and those of the registries of Gymnasium and ManiSkill."""
    assert is_stored_task_id(task_id) is held
