"""The introduction's answers follow the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from made_records import make_record

from companion.book.measures import G2R, RECALL
from companion.book.verdicts import (
    PAPER_PARTS,
    answers,
    part_effects,
    short_answers,
    summary,
    verdicts,
)
from companion.studies.committed import committed_records

STEPS = (0.0, 0.011, 0.019, 0.03, 0.042)


def planted(folder: Path) -> None:
    """Five seeds: the loss costs recall, feedback buys g2r, noise does nothing."""
    for seed, step in enumerate(STEPS):
        jitter = 0.001 * (seed % 2)
        make_record(folder, seed=seed, g2r_cnn=0.80 + step, recall=0.1 + jitter, real_cnn=0.98)
        make_record(
            folder, method="efsgd/no-error-feedback", seed=seed, g2r_cnn=0.75 + step + jitter
        )
        make_record(
            folder, method="efsgd/no-reconstruction", seed=seed, recall=0.6 + step, g2r_cnn=0.8
        )
        make_record(
            folder,
            method="efsgd/no-noise-injection",
            seed=seed,
            g2r_cnn=0.82 - step / 2,
            recall=0.1,
        )
    for seed in (0, 1):
        make_record(folder, method="gaussian", epsilon=1.0, seed=seed, g2r_cnn=0.9 + 0.01 * seed)
    make_record(folder, method="efsgd", epsilon=1.0, g2r_cnn=0.7)
    make_record(folder, method="efsgd/no-adversarial", epsilon=1.0, g2r_cnn=0.99)


def test_each_part_gets_its_verdict_interval_and_anchor(tmp_path: Path) -> None:
    planted(tmp_path)
    records = committed_records(tmp_path)
    text = verdicts(records)
    feedback, loss, noise, rule, best = (part.strip() for part in text.split("\n\n"))
    assert feedback.startswith("(answer-error-feedback)=\n**Does error feedback help?** Yes: ")
    assert "better g2r on MNIST." in feedback and "g2r by +5.0 (+4.9 to +5.0) on MNIST" in feedback
    assert loss.startswith("(answer-reconstruction-loss)=\n")
    assert "Only its cost is decided: worse recall on MNIST." in loss
    assert noise.startswith("(answer-noise-injection)=\n") and "help?** Undecided." in noise
    tested = sum(effect.p == effect.p for effect in part_effects(records))
    assert f"for {tested} comparisons" in rule and "n = 5" in rule
    assert best.startswith("(answer-best-at-one)=\n")
    assert "MNIST 90.5 % (95 % interval" in best and "n = 2) by `gaussian`" in best
    assert "where real images give 98.0 %" in best and "99" not in best  # no ablation wins


def test_part_effects_are_with_minus_without(tmp_path: Path) -> None:
    planted(tmp_path)
    family = part_effects(committed_records(tmp_path))
    by_base = {e.base.partition("/")[2]: e for e in family if e.measure.column == "g2r_cnn"}
    assert set(by_base) == {switch for _, switch in PAPER_PARTS}
    assert by_base["no-error-feedback"].mean > 4.9
    assert all(effect.method == "efsgd" for effect in family)
    assert short_answers(family).startswith("**Error feedback**: Yes: better g2r on MNIST. **Recon")
    first, *_ = lines = answers(family).splitlines()
    assert first.startswith("- **Does error feedback help?** Yes: better g2r on MNIST.")
    assert sum(line.startswith("- ") for line in lines) == 3 and "{ref}" not in "".join(lines)


def test_a_measure_and_a_data_set_are_said_once(tmp_path: Path) -> None:
    planted(tmp_path)
    one = next(e for e in part_effects(committed_records(tmp_path)) if e.measure is G2R)
    places = [(measure, name) for name in ("mnist", "fashion_mnist") for measure in (G2R, RECALL)]
    found = [replace(one, measure=m, dataset=name, verdict="worse") for m, name in places]
    assert summary(found).endswith("worse g2r and recall on MNIST and Fashion-MNIST")
    found[0] = replace(found[0], verdict="better")
    assert summary(found) == (
        "At a price: better g2r on MNIST, but worse recall on MNIST and Fashion-MNIST and g2r on "
        "Fashion-MNIST"
    )


def test_without_records_every_anchor_stays() -> None:
    text = verdicts([])
    assert text.count("(answer-") == 4 and text.count("No record is committed yet.") == 5
