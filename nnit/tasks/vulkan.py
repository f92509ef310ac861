"""State-only simulation without Vulkan, on machines that have it too.

With ``render_backend="none"`` ManiSkill attaches no render component to anything, yet the code
of its tasks still builds ``RenderMaterial`` objects for the colours of cubes and goals. Their
constructor fails with "failed to find a rendering device" where there is no Vulkan device, and
where there is one they take much of an episode's time. Nothing reads such a material
unless it is drawn, so one that remembers nothing does as well. Physics is untouched:
trajectories are the same to the bit with and without it.
"""

import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nnit.errors import ResourceError
from nnit.machine import Check

DRIVERS = ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d")
FIX = (
    "install a GPU's driver, or for a CPU Mesa 25 or newer (on Debian 12: apt install -t "
    "bookworm-backports mesa-vulkan-drivers)"
)


class NullMaterial:
    """Takes the place of ``sapien.render.RenderMaterial``; accepts and forgets everything."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        del args, kwargs

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return a setter that does nothing; anything but a setter is missing."""
        if not name.startswith("set_"):
            raise AttributeError(name)
        return lambda *_, **__: None


@functools.cache
def genuine_material() -> type:
    """Return sapien's own material; the first to ask is ``stand_in_for_materials``."""
    import sapien.render

    return sapien.render.RenderMaterial


def has_render_device() -> bool:
    """Return whether sapien can build a render material, which takes a Vulkan device."""
    try:
        genuine_material()()
    except RuntimeError:
        return False
    return True


def require_render_device() -> None:
    """Make sure that there is something to draw with.

    Raises:
        ResourceError: there is no Vulkan device.
    """
    if not has_render_device():
        raise ResourceError(
            f"--video: found no Vulkan device to draw with; {FIX}; everything else works without"
        )


def check_render_device() -> Check:
    """Try what ``--video`` draws with: a driver that is installed may have no device."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sapien's, of where it looks for Vulkan
        if has_render_device():
            return Check("Vulkan", "draws (rollout --video)")
    drivers = [one.stem for folder in DRIVERS for one in sorted(Path(folder).glob("*.json"))]
    found = f", of the drivers {', '.join(drivers)}" if drivers else ""
    finding = f"no device{found} (needed for rollout --video alone)"
    return Check("Vulkan", finding, FIX, is_needed=False)


def stand_in_for_materials() -> None:
    """Replace sapien's render material; must run before an environment is made."""
    genuine_material()
    _build_with(NullMaterial)


@contextmanager
def genuine_materials() -> Iterator[None]:
    """Build what is drawn with sapien's own render material."""
    _build_with(genuine_material())
    try:
        yield
    finally:
        _build_with(NullMaterial)


def _build_with(material: type) -> None:
    """Put a class where materials are looked up: several modules have a name of their own for it.

    That of a module that is imported later is what it is by then.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith(("sapien.", "mani_skill.")) and "RenderMaterial" in vars(module):
            module.RenderMaterial = material  # pyright: ignore[reportAttributeAccessIssue]
