"""What `python -m trainer` can do: one module a command, each with `add_arguments` and `run`."""
