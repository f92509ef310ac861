"""Simulated tasks: experts, demonstrations, and the physics behind them."""
