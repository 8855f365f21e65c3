"""The book: tables, figures and build steps. They read ``results/`` and measure nothing."""
