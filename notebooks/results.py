# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (results)=
# # Results
#
# One mark per method at $\varepsilon = 10$, the mean over its seeds: how well a classifier does that learned from its
# images (**g2r**), against how near these are to real ones (**Frechet distance**). What each part of a method buys is in
# {doc}`the ablations </book/_executed/ablations>`, what others published in {doc}`the literature
# </book/_executed/literature>`.

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import Markdown, display

from companion.book.alt_text import shown
from companion.book.gallery import gallery
from companion.book.measures import FRECHET, RECALL
from companion.book.sample_noise_tables import sample_noise_table, sample_noise_text
from companion.book.scatter import tradeoff, tradeoff_alt
from companion.book.summary import fid_note
from companion.book.tables import results_table, runs_frame
from companion.book.verdicts import best_at_one
from companion.book.yardstick_tables import best_by_deep, what_changed, yardstick_table
from companion.studies.committed import committed_records, project_root
from companion.studies.sample_noise import load_sample_noise
from companion.studies.yardsticks import load_yardsticks

pd.set_option("display.max_rows", None)  # a row that is not shown was not reported
pd.set_option("display.max_colwidth", None)  # nor can a command that is cut off be run
records = committed_records(project_root() / "results")
runs = runs_frame(records)

Markdown(best_at_one(runs))

# %% mystnb={"figure": {"caption": "MNIST: accuracy of a classifier trained on generated images, against their distance to real ones.", "name": "fig-tradeoff-mnist"}} tags=["hide-input"]
at = {"dataset": "mnist", "measure": FRECHET, "epsilon": 10.0}
shown(tradeoff(runs, **at), tradeoff_alt(runs, **at))

# %% [markdown]
# ## How to read figures and tables
#
# Every figure on this page is read from the records in `results/` when the page is built. A record holds its whole
# configuration, its ledger of releases and its metrics, so each row can be checked and made again. The tables are folded;
# each lists every run.

# %% tags=["hide-input"]
Markdown(fid_note(records))

# %% [markdown]
# :::{admonition} The measures
# :class: dropdown
# - **epsilon** is what the run spent, under replace-one, by Renyi accounting and by the tighter
#   PLD accountant; both are upper bounds ({ref}`what is guaranteed <privacy>`).
# - **g2r** is the accuracy on *real* test images of a classifier trained on *generated* images.
#   Its epoch is chosen on held-out generated images, never on the real test set.
# - **r2g** is the reverse: accuracy on *generated* images of a classifier trained on *real* ones. It is high
#   when images are typical of their label, even if all of them are alike.
# - **Inception score**, $\exp \mathbb{E}_x \, \mathrm{KL}(p(y \mid x) \,\|\, p(y))$, lies between 1 and the number of
#   classes, more is better. It rewards predictions that are sure, and classes that are even, not likeness to the data.
# - **Frechet distance**, $\lVert \mu_1 - \mu_2 \rVert^2 + \operatorname{tr}(S_1 + S_2 - 2 (S_1^{1/2} S_2 S_1^{1/2})^{1/2})$
#   between mean and covariance of the features of generated and of real images, less is better.
# - Both use a classifier trained on the real data. This is not FID, whose features are those of the Inception network;
#   the floor beside it is the distance between real training and real test images.
# - **FID** is only filled in where the published Inception weights were at hand.
# - **Precision** is the share of generated images that lie among the real ones in the same features, **recall** the share
#   of real images that lie among the generated ones.
# - The **contrast curve** of a method on a prior is `logistic`, or `full-range` where {ref}`black stays black <contrast>`.
# - **Spread** is the mean distance of two images of a class, over that of two real images.
# - *sigma* is the noise of the rounds in units of the contribution bound, *prior noise* that of the
#   one-shot prior in units of its joint sensitivity, *q* the sampling rate, *T* the rounds, *K* the
#   shards. *Seeded* noise can be repeated and is therefore not fit for private data.
# - A run that was interrupted has fewer rounds *T* than its epsilon charges, and says so: what was released and then
#   lost is charged, too ({ref}`a run that was killed <resumed-runs>`).
# - A method with a slash has one part switched ({ref}`the parts <method>`).
# - Metrics are computed with real data and are outside the guarantee.
# :::
#
# ## MNIST
#
# Recall tells methods apart that accuracy does not:

# %% mystnb={"figure": {"caption": "MNIST: accuracy against the share of real images that lie among the generated ones.", "name": "fig-recall-mnist"}} tags=["hide-input"]
at = {"dataset": "mnist", "measure": RECALL, "epsilon": 10.0}
shown(tradeoff(runs, **at), tradeoff_alt(runs, **at))

# %% [markdown]
# The first images of each class, by method, always of the lowest seed. At $\varepsilon = 10$:

# %% tags=["hide-input"]
gallery(records, dataset="mnist", epsilon=10.0)

# %% [markdown]
# At $\varepsilon = 1$:

# %% tags=["hide-input"]
gallery(records, dataset="mnist", epsilon=1.0)

# %% mystnb={"code_prompt_show": "Show quality, every run on MNIST"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="mnist", view="quality")

# %% mystnb={"code_prompt_show": "Show privacy, every run on MNIST"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="mnist", view="privacy")

# %% mystnb={"code_prompt_show": "Show cost and commands, every run on MNIST"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="mnist", view="cost")

# %% [markdown]
# ## Fashion-MNIST

# %% mystnb={"figure": {"caption": "Fashion-MNIST: accuracy against distance to real images.", "name": "fig-tradeoff-fashion"}} tags=["hide-input"]
at = {"dataset": "fashion_mnist", "measure": FRECHET, "epsilon": 10.0}
shown(tradeoff(runs, **at), tradeoff_alt(runs, **at))

# %% mystnb={"figure": {"caption": "Fashion-MNIST: accuracy against recall.", "name": "fig-recall-fashion"}} tags=["hide-input"]
at = {"dataset": "fashion_mnist", "measure": RECALL, "epsilon": 10.0}
shown(tradeoff(runs, **at), tradeoff_alt(runs, **at))

# %% [markdown]
# At $\varepsilon = 10$:

# %% tags=["hide-input"]
gallery(records, dataset="fashion_mnist", epsilon=10.0)

# %% [markdown]
# At $\varepsilon = 1$:

# %% tags=["hide-input"]
gallery(records, dataset="fashion_mnist", epsilon=1.0)

# %% mystnb={"code_prompt_show": "Show quality, every run on Fashion-MNIST"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="fashion_mnist", view="quality")

# %% mystnb={"code_prompt_show": "Show privacy, every run on Fashion-MNIST"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="fashion_mnist", view="privacy")

# %% mystnb={"code_prompt_show": "Show cost and commands, every run on Fashion-MNIST"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="fashion_mnist", view="cost")

# %% [markdown]
# ## CelebA, 32 x 32 subset
#
# The label is gender as annotated in CelebA. All figures are on an identity-balanced *subset*,
# and the accounting uses its own number of records. The unit of privacy is one image; every
# identity has five, so these are not guarantees for a person. CelebA's license forbids passing
# pictures on, so none are shown.

# %% mystnb={"figure": {"caption": "CelebA, 32 x 32 subset: accuracy against distance to real images.", "name": "fig-tradeoff-celeba"}} tags=["hide-input"]
at = {"dataset": "celeba", "measure": FRECHET, "epsilon": 10.0}
shown(tradeoff(runs, **at), tradeoff_alt(runs, **at))

# %% mystnb={"code_prompt_show": "Show quality, every run on CelebA"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="celeba", view="quality")

# %% mystnb={"code_prompt_show": "Show privacy, every run on CelebA"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="celeba", view="privacy")

# %% mystnb={"code_prompt_show": "Show cost and commands, every run on CelebA"} tags=["hide-cell", "output_scroll"]
results_table(records, dataset="celeba", view="cost")

# %% [markdown]
# (yardsticks)=
# ## By a deeper judge
#
# Every figure above is by small classifiers on twenty thousand images or fewer, which forgive much. The benchmark of the
# field, DPImageBench {cite:p}`gong2025dpimagebench`, trains deep networks on sixty thousand. `deep` is a protocol of
# that kind, at the size of two cores: a ResNet-8, with the benchmark's optimizer and averaged weights, and its epoch
# chosen on held-out *synthetic* images, never on real ones. It is not the benchmark, so published figures do not stand
# beside it. `python -m dpgen_core.evaluation RECORD --protocol deep` judges any set that lies on disk.
#
# :::{admonition} The columns
# :class: dropdown
# - **records** are the training images that the method learned from.
# - **deep** and **fall**: accuracy on real test images, mean over seeds, and how far it fell from its best epoch to the last
#   one. A fall says that the network learns artifacts.
# - **forest** and **linear** learn from ten thousand images, pixel by pixel.
# - **g2r CNN**, **Frechet** and **recall** are by the protocol `quick`, as in the tables above; **Frechet, deep** is the same
#   distance in features of a ResNet-8 that learned from the real training images.
# - **black** is the share of pixels that are exactly zero, **fine** the share of the images' energy above the modes the prior
#   has. Real images have both.
# - *former curve* is the contrast curve of records made before {ref}`black stayed black <contrast>`, *dithered* adds pixel
#   noise to the finished samples, *grained* adds {ref}`grain <contrast>`, which spares black.
# :::

# %% tags=["hide-input"]
judged = load_yardsticks(project_root() / "results")
Markdown(f"{best_by_deep(judged)}\n\n{what_changed(judged, records)}")

# %% [markdown]
# Fashion-MNIST:

# %% tags=["hide-input"]
yardstick_table(judged, records, dataset="fashion_mnist")

# %% [markdown]
# MNIST:

# %% tags=["hide-input"]
yardstick_table(judged, records, dataset="mnist")

# %% [markdown]
# CelebA, by gender:

# %% tags=["hide-input"]
yardstick_table(judged, records, dataset="celeba")

# %% [markdown]
# Judges see different things, so they need not agree. A small classifier sees shapes. A forest sees single pixels, so
# a gray ground misleads it. Distance and recall are about features of a network that learned from real images, to which ground
# and noise matter. A deep network that learns from the samples finds whatever tells their classes apart, be it in real images or
# not; noise hides that from it, which is why dither can help it while the pictures get worse.
#
# What would help more, budget or training? On the left one method without training rounds at more budgets, with the lowest and
# the highest of its seeds; on the right the methods judged so far at one budget, over the seconds that they learn. The dashed
# line is what real images teach:

# %% tags=["hide-input"]
from companion.book.yardstick_figure import limits_figure, limits_text

limits = limits_text(judged, records)
if "%" in limits:
    display(shown(limits_figure(judged, records), " ".join(limits.replace("`", "").split())))
Markdown(limits)

# %% [markdown]
# (sample-noise)=
# ### Noise on the samples
#
# If noise helps a deep network, which noise helps most? Each form below was put on the finished samples of the prior that
# is {ref}`recommended <own-data>` for that kind of image, and judged by the same network on held-out *training* records; no test
# image was looked at. It is post-processing and costs no privacy.

# %% tags=["hide-input"]
noise = load_sample_noise(project_root() / "results")
Markdown(sample_noise_text(noise))

# %% mystnb={"code_prompt_show": "Show every form of noise"} tags=["hide-cell", "output_scroll"]
sample_noise_table(noise)

# %% [markdown]
# - *dither* is the control: plain noise of one strength everywhere; *twice* has twice the strength, *varied* another one for each
#   image.
# - *on marks* spares black, on which real images have no noise; *grain* does so too, and its strength differs by image. *Weak*
#   and *weaker* grain was tried on faces alone, which fill the image and have no black to spare.
# - With *modes* named, the prior has so many along each axis, more than its preset; with a *temperature*, its latents are
#   multiplied by that before an image is drawn from them.
# - *moved* has no noise: each image is turned, slanted, scaled and shifted a little. Variety of that kind is not what is missing.
#
# Samples of the prior have next to nothing above its modes, where real images have a good part of their energy (*fine* in the
# tables above), and grain puts about as much there. It is for whoever trains a network on the samples, not for the eye, and on
# clothes the distance in deep features counts it as a fault, though a smaller one than dither. So it is off unless asked for:
# `make_config(..., grain=0.5)`. Under grain a finer prior is better as well: `mixture/with-grain` has more modes and stronger
# grain than that. And digits, though not clothes, are better when they are drawn at a higher *temperature*, further from the
# middle of their Gaussian than it says; `mixture/with-frame-and-grain` has all three, and pays for them with a
# Frechet distance several times that of `mixture/with-frame`. On faces a fifth of the usual grain helps at the larger budget and
# does harm at the smaller one, in the tables above as well. On real, public images, dither and grain look so:

# %% mystnb={"figure": {"caption": "Glyphs as they are, with dither, and with grain.", "name": "fig-grain"}, "image": {"alt": "Three rows of digits on black: clean, with even gray speckle everywhere, and with speckle of different strength on the strokes alone"}} tags=["hide-input"]
import matplotlib.pyplot as plt

from dpgen_core.data.dither import DITHER, GRAIN, add_dither, add_grain
from dpgen_core.data.sets import load
from dpgen_core.streams import stream

clean = load("glyphs", "test", num_records=10).images
rows = (
    clean,
    add_dither(clean, DITHER, stream(0, "dither")),
    add_grain(clean, GRAIN, stream(0, "grain")),
)
figure, axes = plt.subplots(3, 10, figsize=(6.4, 2.1), layout="constrained")
for line, images in zip(axes, rows, strict=True):
    for axis, image in zip(line, images, strict=True):
        axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
        axis.axis("off")
plt.show()

# %% [markdown]
# ## Exercises
#
# :::{admonition} Exercise 1
# g2r of one record is above r2g of another. Which of the two makes better pictures?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Neither figure says. A generator that makes one perfect picture per class has a high r2g and a low g2r; one that
# makes varied but noisy pictures may have the opposite. That is why recall and the spread within a class
# stand beside them.
# :::
#
# :::{admonition} Exercise 2
# The Frechet distance has a floor above zero: what real training images score against real test images.
# May a synthetic set go below it?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Yes, by chance, or when the synthetic set is closer to the test images than the training images are in these
# features. Far below it something is wrong, for example test images that were seen in training.
# :::
#
# **Read next:** {doc}`what each part buys </book/_executed/ablations>`.
