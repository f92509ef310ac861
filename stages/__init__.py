"""The pipeline: files in, files out, one module per command."""
