"""Made figures of the study of record counts, which obey a known rule."""

from __future__ import annotations

from typing import Any

from companion.studies.record_counts import Point, Rule

RULE = Rule(0.5, 1.5)


def made(rule: Rule = RULE) -> dict[str, Any]:
    """Two data sets of other ceilings and numbers of classes, which obey `rule`."""
    found = {}
    for dataset, classes, ceiling in (("mnist", 10, 0.99), ("celeba", 2, 0.95)):
        for num_records, noise in ((500, 1.2), (5000, 0.4), (50_000, 0.05)):
            for epsilon in (1.0, None):
                point = Point(dataset, num_records, epsilon)
                chance, share = 1 / classes, rule.share(noise)
                accuracy = chance + share * (ceiling - chance)
                if epsilon is None:  # fewer records teach less
                    accuracy = ceiling - 0.1 * (num_records < 50_000)
                found[point.name()] = {
                    **{"dataset": dataset, "num_records": num_records, "epsilon": epsilon},
                    **{"seed": 0, "classes": classes, "accuracy": accuracy},
                } | ({} if epsilon is None else {"mean_noise": noise})
    return {"points": found}
