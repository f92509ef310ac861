"""Artifacts: folders with a manifest, written whole or not at all, read with suspicion."""
