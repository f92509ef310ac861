"""``nnit tasks``."""

from nnit_cli.console import print_json, print_line, print_tables
from nnit_cli.options import DebugOption, JsonOption

EXAMPLE = "nnit tasks"
HEAD = ("--task", "state", "answers", "steps", "demonstrations")


def tasks_command(*, json: JsonOption = False, debug: DebugOption = False) -> None:
    """List the tasks that --task knows by name, and what else it takes."""
    from stages.task_source import Listed, listed_tasks

    found = listed_tasks()
    if json:
        print_json([one._asdict() for one in found])
        return

    def row(one: Listed) -> tuple[str, ...]:
        answers = f"{one.act_dim} {'classes' if one.classes else 'numbers'}"
        return (one.name, str(one.obs_dim), answers, str(one.steps), one.demonstrations)

    print_tables([[HEAD, *map(row, found)]])
    print_line("")
    print_line("TASK@CONTROL_MODE  any other task of ManiSkill, with its own trajectory files")
    print_line("gym:NAME           an environment of Gymnasium, as in gym:CartPole-v1")
    print_line("mnist              with --data mnist.npz")
    print_line("./my_task.py       your own: docs/tasks.md")
