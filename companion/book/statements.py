"""``python -m companion.book.statements``: write the statements of all committed records anew."""

from __future__ import annotations

from companion.studies.committed import committed_records, project_root
from dpgen_core.records.statement import write_statement


def main() -> None:
    """Write the statements of all committed records."""
    for record in committed_records(project_root() / "results"):
        print(write_statement(record))


if __name__ == "__main__":
    main()
