"""Films as the bytes of an mp4."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

H264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20"]
# One thread, and nothing about the encoder: the same pictures give the same bytes.
REPEATABLE = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
FROM_THE_START = ["-movflags", "+faststart"]  # plays before all of it is there


def mp4_bytes(pictures: Sequence[np.ndarray], fps: int) -> bytes:
    """Return an H.264 film that browsers play.

    Args:
        pictures: ``(height, width, 3)`` uint8 each, at least one, all of one size. An odd last row
            or column is left out: the format has none.
        fps: Pictures a second.
    """
    import imageio_ffmpeg  # brings the program along

    height, width = (size // 2 * 2 for size in pictures[0].shape[:2])
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps)]
    with tempfile.TemporaryDirectory() as folder:  # an mp4 can't be written into a pipe
        path = Path(folder) / "film.mp4"
        encode = [*H264, *REPEATABLE, *FROM_THE_START, str(path)]
        subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, "-i", "-", *encode],
            input=b"".join(picture[:height, :width].tobytes() for picture in pictures),
            check=True,
        )
        return path.read_bytes()
