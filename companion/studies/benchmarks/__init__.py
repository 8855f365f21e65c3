"""Speed as ratios within one run: ``make bench`` writes ``results/benchmarks.json``."""
