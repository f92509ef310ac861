"""Devices by name, and what the doctor looks at."""

import pytest
import torch

from nnit.errors import ResourceError, UsageError
from nnit.machine import Check, examine, resolve_device
from nnit.tasks.vulkan import check_render_device, has_render_device, require_render_device
from nnit_cli.main import main


def test_cpu_is_taken_at_its_word():
    """Whatever else there is."""
    assert resolve_device("cpu") == "cpu"


def test_auto_takes_a_gpu_where_there_is_one():
    """And the CPU where there is none."""
    assert resolve_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_gpu_that_is_missing_is_a_lack_of_resources():
    """The line names the device and what to do."""
    with pytest.raises(ResourceError, match=r"^--device cuda:999: torch sees .*--device cpu"):
        resolve_device("cuda:999")


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:-1", "cuda:1000", "CPU", "cpu:0", "cuda:0\n"]
)
def test_names_that_are_no_device_are_a_mistake(name):
    """They are refused before torch is asked."""
    with pytest.raises(UsageError, match="must be auto, cpu, cuda"):
        resolve_device(name)


def test_examination_names_every_check_once():
    """Each has a finding on one line."""
    checks = examine()
    assert len({check.name for check in checks}) == len(checks)
    assert all(check.finding and "\n" not in check.finding + check.fix for check in checks)


def test_threads_beyond_the_cores_are_reported_with_a_fix():
    """More threads than cores is a fault; as many as cores is none."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert next(check for check in examine() if check.name == "threads").fix == ""
        torch.set_num_threads(512)
        assert "OMP_NUM_THREADS=" in next(c for c in examine() if c.name == "threads").fix
    finally:
        torch.set_num_threads(before)


def test_the_doctor_says_of_drawing_what_a_film_would_meet(capsys):
    """It tries, as ``rollout --video`` does; what is not needed has a fix too, and is no fault."""
    found = check_render_device()
    assert found.name == "Vulkan"
    if has_render_device():
        assert not found.fix
        return
    with pytest.raises(ResourceError) as caught:
        require_render_device()
    assert found.fix in caught.value.faults[0]
    assert not found.is_needed
    assert main(["doctor"]) in (0, 6)
    shown = capsys.readouterr()
    line = next(line for line in shown.out.splitlines() if line.startswith("Vulkan"))
    assert line.endswith(f"; fix: {found.fix}")
    assert "Vulkan" not in shown.err


def test_check_without_a_fix_is_healthy():
    """The default of a check is that nothing is wrong."""
    assert Check("disk", "9 GiB").fix == ""
