"""Benchmarks and the simulated province."""
