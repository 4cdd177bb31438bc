"""The peers: other recommenders, trained on the same events in an environment of their own.

What stands here runs under `build/peers` (old NumPy, no recsvc): it may import nothing but the
libraries in `peers-constraints.txt` and its own folder. Data comes and goes as files, see `job`.
"""
