"""The zoo of structurally aligned networks."""
