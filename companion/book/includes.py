"""The introduction's generated parts, written to ``book/_generated`` when the book is built."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from companion.book import overview
from companion.book.paper_claims import paper_claims
from companion.book.part_form_tables import forms_answer
from companion.book.published_tables import claims
from companion.book.tables import findings
from companion.book.verdicts import verdicts
from companion.studies.committed import committed_records, project_root
from companion.studies.part_forms import load_part_forms
from dpgen_core.files import write_whole


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: ``python -m companion.book.includes [--root FOLDER]``."""
    parser = argparse.ArgumentParser(
        prog="python -m companion.book.includes", description=main.__doc__
    )
    parser.add_argument("--root", type=Path, default=None, help="the clone; default: found")
    root = project_root(parser.parse_args(arguments).root)
    target = root / "book" / "_generated"
    target.mkdir(exist_ok=True)
    records = committed_records(root / "results")
    published = root / "book" / "published.csv"
    write_whole(target / "claims.md", claims(published))
    write_whole(target / "paper_claims.md", paper_claims(root / "results", published))
    write_whole(target / "findings.md", findings(records))
    others = forms_answer(load_part_forms(root / "results"))
    write_whole(target / "verdicts.md", f"{verdicts(records)}\n{others}")
    overview.write(records, root)


if __name__ == "__main__":
    main()
