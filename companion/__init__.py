"""The tools behind the book: studies measure and write results, the book shows them.

They are not installed with the package and run in a clone. `dpgen_core` never imports them.
"""
