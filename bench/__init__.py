"""Benchmarks: each measures beside a floor in the same run. See docs/performance.md."""
