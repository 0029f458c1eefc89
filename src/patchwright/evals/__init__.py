"""Benchmarks: instances made ready, run, graded and reported."""
