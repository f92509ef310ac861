"""What the method is compared with, and what was found: ``python -m studies``."""
