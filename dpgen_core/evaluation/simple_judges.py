"""A forest and a linear classifier on pixels: they see what a small CNN forgives.

Both are scikit-learn's, with its usual settings. They are part of the older protocols for private
generators, GS-WGAN's and DP-MERF's among them.
"""

from __future__ import annotations

import warnings

from torch import Tensor

from dpgen_core.data.sets import ImageData

SIMPLE = ("forest", "linear")
_MOST_STEPS = 100  # of the linear classifier's optimizer


def simple_accuracies(synthetic: ImageData, test: ImageData, *, seed: int) -> dict[str, float]:
    """Accuracy on `test`, by name in `SIMPLE`, of classifiers that learn from `synthetic`.

    The seed decides the forest. A set of one class gives that class's share.
    """
    # Slow to import, and many users of this package never judge.
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    models = {
        "forest": RandomForestClassifier(random_state=seed),
        "linear": LogisticRegression(max_iter=_MOST_STEPS),
    }
    (made, labels), (seen, truth) = ((_rows(d.images), d.labels.numpy()) for d in (synthetic, test))
    if len(set(labels.tolist())) == 1:
        return dict.fromkeys(SIMPLE, float((truth == labels[0]).mean()))
    with warnings.catch_warnings():  # a fixed number of steps is the protocol
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {
            n: float((m.fit(made, labels).predict(seen) == truth).mean()) for n, m in models.items()
        }


def _rows(images: Tensor) -> object:
    return images.flatten(1).numpy()  # (n, pixels)
