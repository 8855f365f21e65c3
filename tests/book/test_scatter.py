"""Charts of methods: marks at the means, every method named, and text that quotes the ends."""

from __future__ import annotations

from pathlib import Path

from made_records import make_record

from companion.book.measures import FRECHET, RECALL
from companion.book.published_scatter import against_published, against_published_alt
from companion.book.scatter import means, tradeoff, tradeoff_alt
from companion.book.tables import runs_frame
from companion.studies.campaign import NON_PRIVATE
from companion.studies.committed import committed_records

PUBLISHED = """method,bibkey,dataset,epsilon,delta,metric,value,source,checked,note
Theirs,a,mnist,10,1e-5,g2r_cnn,90,page,read,
Diffused,a,mnist,1,1e-5,g2r,97.5,page,read,diffusion
Silent,a,mnist,not stated,1e-5,g2r,88,page,read,
Guessed,a,mnist,10,1e-5,g2r,99,memory,no,
Other,a,mnist,10,1e-5,fid,12,page,read,
"""


def some_runs(folder: Path):
    for seed in (0, 1):
        more = {"seed": seed, "real_cnn": 0.98, "frechet_floor": 0.5}
        make_record(folder, g2r_cnn=0.8 + 0.02 * seed, frechet_distance=90.0, recall=0.1, **more)
        make_record(
            folder, method="gaussian", g2r_cnn=0.95, frechet_distance=40.0, recall=0.3, **more
        )
    make_record(folder, method="gaussian", epsilon=1.0, g2r_cnn=0.9)
    make_record(folder, epsilon=NON_PRIVATE, g2r_cnn=0.99)
    make_record(folder, method="efsgd/no-reconstruction", g2r_cnn=0.7)
    return runs_frame(committed_records(folder))


def test_methods_are_named_at_their_means_beside_real_images(tmp_path: Path) -> None:
    runs = some_runs(tmp_path)
    at = {"dataset": "mnist", "epsilon": 10.0}
    assert means(runs, **at).index.tolist() == ["efsgd", "gaussian"]
    axes = tradeoff(runs, measure=FRECHET, **at).axes[0]
    points = {(line.get_xdata()[0], round(line.get_ydata()[0], 6)) for line in axes.lines}
    assert {(90.0, 81.0), (40.0, 95.0), (0.5, 98.0)} <= points
    assert {text.get_text() for text in axes.texts} == {"efsgd", "gaussian", "real images"}
    text = tradeoff_alt(runs, measure=RECALL, **at)
    assert "Highest: gaussian at 95.0 %, lowest: efsgd at 81.0 %." in text
    assert "Best by recall: gaussian at 0.30." in text
    assert "Best by Frechet distance: gaussian at 40.0." in tradeoff_alt(
        runs, measure=FRECHET, **at
    )


def test_published_points_are_hollow_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(PUBLISHED)
    runs = some_runs(tmp_path / "results")
    mnist, fashion = against_published(runs, path).axes
    names = {text.get_text() for text in mnist.texts}
    assert names == {"efsgd", "gaussian", "Theirs", "Diffused"}
    hollow = [line for line in mnist.lines if line.get_markerfacecolor() == "white"]
    assert {(line.get_xdata()[0], line.get_ydata()[0]) for line in hollow} == {(10, 90), (1, 97.5)}
    assert not fashion.texts
    curves = [list(line.get_xdata()) for line in mnist.lines if line not in hollow]
    assert [1.0, 10.0] in curves and [10.0] in curves  # next to no noise is not on the axis
    text = against_published_alt(runs, path)
    assert "highest curve is gaussian at 95.0 %, the highest published mark Theirs at 90 %." in text


def test_without_records_the_charts_are_empty(tmp_path: Path) -> None:
    runs = runs_frame([])
    figure = tradeoff(runs, dataset="mnist", measure=RECALL, epsilon=10.0)
    assert not figure.axes[0].lines
    assert "no record" in tradeoff_alt(runs, dataset="mnist", measure=RECALL, epsilon=10.0)
    (tmp_path / "published.csv").write_text(PUBLISHED)
    assert len(against_published(runs, tmp_path / "published.csv").axes[0].texts) == 2
