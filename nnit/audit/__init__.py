"""Whether generated networks are novel, diverse and sound."""
