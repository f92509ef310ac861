"""The terminal: the only place with Typer and Rich. Commands parse, call a stage and print."""
