"""One file per command: what it is called with, which stage it runs, what it prints."""
