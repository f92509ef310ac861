"""The diffusion transformer that generates networks."""
