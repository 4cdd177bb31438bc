"""Generated from protos/recsvc/v1 by `make gen`; do not edit."""
