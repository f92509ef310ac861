"""A trained generator as users have it: found by name, read, asked for networks."""
