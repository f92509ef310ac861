"""Figures: from data to the bytes of a picture."""
