"""The tools behind the book: studies measure and write results, the book shows them.

Installed with the package, so that notebooks find them from any folder of a clone, whose `book` and
`results` they read. `dpgen_core` never imports them.
"""
