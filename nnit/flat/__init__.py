"""The flat-vector baseline: an autoencoder of padded networks, diffusion of its latents."""
