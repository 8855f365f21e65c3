"""Published figures keep their source, and what was not checked is not shown."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from companion.book.published_tables import claims, published_table

PUBLISHED = Path(__file__).parents[2] / "book" / "published.csv"


def test_published_figures_keep_source_and_caveat_and_drop_unchecked_ones() -> None:
    raw = pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)
    assert (raw["checked"] == "no").any(), "the file no longer tries the filter"
    shown = pd.concat(published_table(PUBLISHED, dataset=d) for d in raw["dataset"].unique())
    assert len(shown) == (raw["checked"] != "no").sum()
    assert "no" not in set(shown["how we know"]) and "from memory" not in set(shown["source"])
    ours = shown[(shown["method"] == "Ma & Zhang") & (shown["value"] == "49.41")].iloc[0]
    assert ours["metric"] == "FID" and ours["source"] and ours["caveat"]


def test_claims_quote_the_paper_alone() -> None:
    text = claims(PUBLISHED)
    raw = pd.read_csv(PUBLISHED, dtype=str, keep_default_na=False)
    paper = raw[raw["bibkey"] == "ma2026efsgd"]
    assert len(text.splitlines()) == 2 + len(paper)
    assert all(value in text for value in paper["value"])
