"""The smallest network that does the job: which shapes to try, and a race between them."""
