"""What a player shows of a film."""

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np


def played(path: Path) -> tuple[float, np.ndarray]:
    """Return the pictures a second, and all pictures ``(N, height, width, 3)`` uint8."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = subprocess.run([program, "-i", str(path), *raw], capture_output=True, check=True)
    about = re.search(r"Video: h264.*, (\d+)x(\d+).*, ([\d.]+) fps", shown.stderr.decode())
    assert about is not None
    width, height = int(about[1]), int(about[2])
    pictures = np.frombuffer(shown.stdout, np.uint8).reshape(-1, height, width, 3)
    return float(about[3]), pictures
