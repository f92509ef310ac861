"""Tokens: networks cut into patches, and back."""
