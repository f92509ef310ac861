"""Running policies in the simulator, and what is reported of it."""
