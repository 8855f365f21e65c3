"""``python -m companion.book.statements``: write the statements of all committed records anew."""

from __future__ import annotations

from pathlib import Path

from companion.studies.committed import committed_records, project_root
from dpgen_core.files import write_whole
from dpgen_core.records.record import Record
from dpgen_core.records.statement import STATEMENT_FILE, privacy_statement


def write_statement(record: Record) -> Path:
    """Write the statement into the record's folder, all at once."""
    target = record.path / STATEMENT_FILE
    text = privacy_statement(config=record.config, run=record.run, privacy=record.privacy)
    write_whole(target, text)
    return target


def main() -> None:
    """Write the statements of all committed records."""
    for record in committed_records(project_root() / "results"):
        print(write_statement(record))


if __name__ == "__main__":
    main()
