"""Studies: audits, benchmarks, campaigns and searches. They measure, and write ``results/``."""
