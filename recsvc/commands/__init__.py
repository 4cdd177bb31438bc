"""The sub-commands that need nothing but the service: see recsvc/cli.py."""
