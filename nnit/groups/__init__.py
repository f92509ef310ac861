"""Many small networks, cloned side by side."""
