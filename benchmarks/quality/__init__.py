"""`python -m benchmarks quality`: the served pipeline beside its peers, on data we did not make."""
