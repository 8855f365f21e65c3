"""What makes this book: studies measure and write results, the book shows them.

Nothing here is installed with the package; it runs in a clone. `dpgen_core` imports nothing of it.
"""
