"""How fast and how good: the commands behind the figures of the README."""
