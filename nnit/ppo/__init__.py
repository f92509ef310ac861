"""Reinforcement learning of the hypernetwork: proximal policy optimisation over architectures."""
