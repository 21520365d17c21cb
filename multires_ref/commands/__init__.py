"""One module a subcommand of `multires-ref`: see `cli.py`."""
