"""The parts of the simulated province; `benchmarks.workload` is the way in."""
