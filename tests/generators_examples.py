"""Models as packages bring them along, without installing any."""

import shutil
from pathlib import Path


def install(site: Path, generator: Path, name: str, version: str, *requires: str) -> Path:
    """Lay a package with a generator into a folder, as pip would; returns the artifact.

    The package's code raises: a model is found without running it.
    """
    package = f"nnit_model_{name}"
    shutil.copytree(generator, site / package / "generator")
    (site / package / "__init__.py").write_text("raise RuntimeError('was run')\n")
    info = site / f"{package}-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {package}", f"Version: {version}"]
    lines += [f"Requires-Dist: {one}" for one in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "entry_points.txt").write_text(f"[nnit.models]\n{name} = {package}\n")
    return site / package / "generator"
