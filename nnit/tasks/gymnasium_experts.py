"""Scripted experts for classic environments of Gymnasium.

An expert is a function of one raw observation; it returns the output of a policy: an action in
[-1, 1], or 1 for the class that it chooses and 0 for the others.
"""

import math

import numpy as np

GRAVITY = 10.0  # m/s^2, of Pendulum
SWING_GAIN = 1.0  # of the energy that swinging up lacks
CATCH_ANGLE = 0.35  # rad from upright, where balancing begins
MAX_TORQUE = 2.0  # N m, of Pendulum


def choose(index: int, num_classes: int) -> np.ndarray:
    """Return 1 at the chosen class."""
    chosen = np.zeros(num_classes, np.float32)
    chosen[index] = 1
    return chosen


def cart_pole(observation: np.ndarray) -> np.ndarray:
    """Push towards where the pole falls, leaning against the cart's drift from the middle."""
    position, speed, angle, turning = observation.tolist()
    return choose(int(0.05 * position + 0.15 * speed + angle + 0.25 * turning > 0), 2)


def pendulum(observation: np.ndarray) -> np.ndarray:
    """Swing up by pumping energy, then balance.

    Source: Åström and Furuta 2000, "Swinging up a pendulum by energy control".
    """
    cosine, sine, turning = observation.tolist()
    angle = math.atan2(sine, cosine)  # 0 is upright
    if abs(angle) < CATCH_ANGLE:
        torque = -(10.0 * angle + 2.0 * turning)
    else:
        lacking = 1.5 * GRAVITY * (1 - cosine) - turning**2 / 2
        torque = SWING_GAIN * lacking * (1.0 if turning >= 0 else -1.0)
    return np.array([np.clip(torque / MAX_TORQUE, -1, 1)], np.float32)


def acrobot(observation: np.ndarray) -> np.ndarray:
    """Pump energy: bend the lower link along the swing of the upper one."""
    turning = observation[4].item()
    return choose(2 if turning < 0 else 0, 3)
