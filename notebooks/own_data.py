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
# (own-data)=
# # Use it on your own data
#
# From a folder of images with labels to a synthetic data set that may leave your organization, with a
# privacy statement to hand over. The example folder holds drawn digits, so that anybody can run this page; put
# your own in its place.
#
# ## Before anything is computed
#
# Three questions have to be answered by people, not by code:
#
# 1. **Who or what is one record?** The guarantee covers one image with its label. If a person has several
#    images, it does not cover the person. With a `labels.csv` whose columns are file, label and person,
#    `--unit person --per-person 3` keeps at most three images of each and states epsilon for
#    {ref}`a person <persons>`.
# 2. **Which budget?** Epsilon 1 is a strong promise and epsilon 10 a weak one, see the
#    {doc}`budget explorer </book/explorer>`. Choose it *before* looking at results, once: a second run on the
#    same images is a second release, and whoever has both has up to the sum of the two budgets.
# 3. **What is public already?** The number of images, the names of the classes and the size of the pictures
#    are taken to be public. File names are not: nothing that is released depends on them.
#
# ## The folder
#
# One subfolder per class. A record's slot says which shard it belongs to and whether it is held out for
# evaluation. The slots are a uniformly random order of all files, drawn under the key of the run. An order
# by class or by name would not do: a record that moves to another class, or gets another name, would move
# every record after it into another shard, and the guarantee, which is about *one* changed shard, would
# not apply. File names need be neither unique nor public.

# %% tags=["parameters"]
num_images = 6_000
method = "mixture"
profile = "quick"
epsilon = 3.0
image_size = 28
synthetic_records = 5_000
folder = None  # your own; None draws an example into a temporary folder
title = "Drawn digits"  # of the data, for the statement
description = "Digits drawn from fonts for this page; they show nobody"

# %%
import tempfile
from pathlib import Path

from dpgen_core.data.glyphs import draw_glyphs
from dpgen_core.delivery import write_images

scratch = tempfile.TemporaryDirectory()
if folder is None:
    folder = Path(scratch.name) / "images"
    images, labels = draw_glyphs(num_images, seed=7)
    names = [f"digit-{digit}" for digit in range(10)]
    write_images(folder, images.numpy(), labels.numpy(), names)
print(*sorted(path.name for path in Path(folder).iterdir()))

# %% [markdown]
# Files are read as a viewer shows them: turned by their EXIF tag, transparent pixels on white, of several
# frames the first. What is left out is counted and named. A file of more than 8 bits does not say which of its
# values is white, and the largest one found is a fact about the records, so it has to be stated: `maximum=4095`
# for pictures of 12 bits.
#
# ## A look before
#
# `check` reads every file and writes nothing. What it says of the records is private; the warnings follow from
# public figures. The last line says how long the run will take and how much memory, which
# {ref}`was measured <own-images-times>` on folders of many sizes. On the command line it is `dpgen check`.

# %% tags=["remove-stderr"]
from dpgen_core.delivery import check

settings = {
    "method": method,
    "profile": profile,
    "epsilon": epsilon,
    "image_size": image_size,
    "synthetic_records": synthetic_records,
    "title": title,
    "description": description,
}
results = Path(scratch.name) / "results"
planned = check(Path(folder), results=results, **settings)

# %% [markdown]
# (how-many-records)=
# ## How many records are enough?
#
# A release averages over one class, and a smaller class does not get less noise. So the number of records *per
# class* decides, together with epsilon. {ref}`The figure <fig-record-counts>` shows it for the four
# kinds of images that `--kind` knows: accuracy of a small CNN that learned from ten thousand synthetic images,
# on real test images. The dashed line is the same CNN on the records themselves, ten thousand at most.

# %% mystnb={"figure": {"caption": "Accuracy by records per class and epsilon, means over seeds, and all releases by the noise of a class mean.", "name": "fig-record-counts"}} tags=["hide-input"]
from IPython.display import Markdown

from companion.book.alt_text import shown
from companion.book.record_count_figure import (
    record_count_alt,
    record_count_figure,
    record_count_table,
    rule_text,
)
from companion.studies.committed import project_root
from companion.studies.record_counts import load_record_counts

measured = load_record_counts(project_root() / "results")
shown(record_count_figure(measured), record_count_alt(measured))

# %% tags=["hide-input"]
Markdown(rule_text(measured))

# %% mystnb={"code_prompt_show": "Show the figures"} tags=["hide-cell"]
record_count_table(measured)

# %% [markdown]
# `check` knows these rules and warns by them. Noise is the length of the noise of a class mean, relative to the
# longest mean that there can be. It falls with the number of records per class and with epsilon, by which a budget
# that is ten times smaller asks for ten times as many records. Faces need far less of it than digits: the two classes
# differ in little.
#
# (resolution)=
# ## How large may the pictures be?
#
# `--size` makes larger pictures. {ref}`The figure <fig-resolution>` shows what becomes of them: the same records at
# every size, faces and digits drawn anew at each, released by the method recommended for their kind and judged on
# real pictures of that size. Each size has judges of its own, so Frechet distances, and to a lesser degree recall, are
# to be compared at one size. Faces were at hand in squares of 64 pixels, which is the largest size that can be asked
# of them.

# %% mystnb={"figure": {"caption": "Left, accuracy by the side of the pictures and epsilon, with and without repairs; right, at the largest epsilon, what is left of a code's length under the clip, and of the fine detail of real pictures.", "name": "fig-resolution"}} tags=["hide-input"]
from companion.book.resolution_figure import (
    resolution_alt,
    resolution_figure,
    resolution_table,
    resolution_text,
)
from companion.studies.resolutions import load_resolutions

sizes = load_resolutions(project_root() / "results")
shown(resolution_figure(sizes), resolution_alt(sizes))

# %% tags=["hide-input"]
Markdown(resolution_text(sizes))

# %% mystnb={"code_prompt_show": "Show the figures"} tags=["hide-cell"]
resolution_table(sizes)

# %% [markdown]
# **The clip would break first.** With twice the side a picture has four times the pixels, so its code is twice as long.
# Clip radii that stay what they were found to be at the usual size cut the rest off. What comes out is darker than it
# should be, and more alike: a classifier still learns most from it, so that g2r alone would hide the damage, and
# recall shows it. So the radii of the presets grow in proportion to the side. They depend on the side alone, which
# is public, and cost no budget. Noise grows with them and is spread over as many more pixels, so that a pixel has as
# much noise as at the usual size. Below that size fixed radii would be wider than they need to be, and so would be
# the noise.
#
# **Fine detail goes next**, and no radius brings it back. The basis keeps as many modes at every size, and what lies
# above them is not drawn at all. More of them (`prior_modes`) bring some of it back, as far as their noise and their
# length under the clip allow. Memory for a covariance grows with the fourth power of their number along an axis.
#
# Time and memory are no obstacle for a prior at these sizes: the records take most of the memory, and the judges most
# of the time. Seconds are those of one core. The owners' rounds were not tried.
#
# ## The run
#
# `synthesize` draws coins and noise from a key that the operating system makes and that is deleted after the
# run. A run with the public seed, as everywhere else in this book, can be repeated by anybody, and so the noise
# can be subtracted by anybody. Before the first release the run is entered in private books, which know the
# images whatever their names are. A second release from any of them has to be asked for, with `again=True`.

# %% tags=["remove-stderr"]
from dpgen_core.delivery import synthesize

released = Path(scratch.name) / "released"
record = synthesize(Path(folder), released, results=results, say=lambda line: None, **settings)

# %%
from companion.book.pages import samples_image

samples_image(record)

# %% [markdown]
# ## Is it any good?
#
# One image in six was held out and is asked now. These figures are computed from private images, outside
# the guarantee: look at them, do not hand them over, and do not try ten settings and keep the best. Images, not
# persons, are held out: with `--unit person` those of one person may lie both in what was learned from and in
# what was held out, and then the figures flatter.

# %%
from companion.book.summary import metrics_table

metrics_table(record)

# %% [markdown]
# ## The hand-over
#
# What leaves: the synthetic images with their labels, as files and as an archive in MedMNIST's form, the
# statement and the figures that it was made from, a data card, checksums, and the released generator.

# %%
print(*sorted(path.name for path in released.iterdir()))
print(len(list(released.glob("images/*/*.png"))), "synthetic images")

# %% [markdown]
# The statement, which the folder holds as well:

# %% tags=["hide-input"]
from companion.book.pages import statement_markdown

statement_markdown(record)

# %% [markdown]
# ## More of them
#
# Whoever has the folder draws as many more as they like, at no further cost: the generator is released, and
# what is computed from it reveals no more than it does. With the run's own seed the images are those of the
# folder again.

# %%
from dpgen_core import load

more = load(released).sample(per_class=3, seed=1)
print(tuple(more.images.shape), more.class_names)

# %% [markdown]
# (worked-example)=
# ## A real one: chest X-rays
#
# The run above can be repeated by anybody, and its digits show nobody. This one is closer to what the command is
# for: PneumoniaMNIST {cite:p}`yang2023medmnist`, chest X-rays of children, normal or with pneumonia. It was made
# once, by `python -m companion.studies.worked_example`, as the noise key of such a run is deleted: what follows are
# its committed figures. There was no network where they were made, so the archive was put together from two public
# copies of its parts: it has as many images of each class and part as the published one, whose checksum it does not
# have. The folder has a subfolder `normal` and a subfolder `pneumonia`. First the look before:
#
# ```
# dpgen check xrays --epsilon 3 --kind scans --no-evaluation
# ```

# %% tags=["hide-input"]
from companion.book.worked_example_figures import (
    example_alt,
    example_figure,
    example_table,
    example_text,
    said_text,
    statement_text,
)
from companion.studies.worked_example import load_worked_example

example = load_worked_example(project_root() / "results")
Markdown(said_text(example))

# %% [markdown]
# No warning: the noise is small next to a class mean. `--kind scans` says that these are gray photographs; nothing in
# the images is asked for that. Then the set is made, and as many images as one likes are drawn from its generator:
#
# ```
# dpgen synthesize xrays released --epsilon 3 --kind scans --no-evaluation
# dpgen sample released more --per-class 5000 --seed 1
# ```

# %% mystnb={"figure": {"caption": "Synthetic chest X-rays by kind of prior and budget, the first of each class.", "name": "fig-worked-example"}} tags=["hide-input"]
shown(example_figure(project_root() / "results"), example_alt())

# %% [markdown]
# The folder `released` holds them with this statement:

# %% mystnb={"code_prompt_show": "Show the statement"} tags=["hide-cell"]
Markdown(statement_text(example))

# %% [markdown]
# The images are blurred: a Gaussian in few modes has no ribs. What they teach was asked of test images that no run had
# seen, class by class, since the smaller class is the one that a single figure hides:

# %% tags=["hide-input"]
Markdown(example_text(example))

# %% mystnb={"code_prompt_show": "Show the figures"} tags=["hide-cell"]
example_table(example)

# %% [markdown]
# **Say what the images show.** The kind that gray images get when nobody says anything, `drawings`, spreads the
# range of what was released from black to white, which is right for clothes on an even ground and wrong here.
# `scans` leaves it, gives both classes one covariance and clips it closer: the spread around a class mean is
# smaller than in drawings. Both were chosen on training records that were held out, and not charged
# ({ref}`pitfalls <pitfalls>`, number 12):

# %% mystnb={"code_prompt_show": "Show the priors that were tried"} tags=["hide-cell", "output_scroll"]
from companion.book.search_tables import scans_table

scans_table(project_root() / "results")

# %% [markdown]
# **Which numbers are hopeless** is in {ref}`the figure above <fig-record-counts>`, which has these X-rays too.
#
# ## The same from the command line
#
# ```
# dpgen check path/to/images --epsilon 3
# dpgen synthesize path/to/images path/to/released --epsilon 3 --title "Scans of 2024"
# dpgen sample path/to/released path/to/more --per-class 500
# ```
#
# `--title` and `--description` go into the statement. `--color` makes color pictures, `--size 64` larger ones.
# `--kind` says what the images show, and with it which method is taken: for photographs of few classes a
# {ref}`prior made for them <colors>`, for gray ones {ref}`as above <worked-example>`. `--method efsgd-prior` adds training rounds on top of the prior: sharper
# strokes for some minutes of work. `--method mixture/with-grain` makes clothes and signs for training a network on, not for
# looking at: {ref}`it sees more in them <sample-noise>`; `mixture/with-frame-and-grain` does so for handwriting. Which is worth it at which budget is measured in
# {doc}`ablations </book/_executed/ablations>`.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# A hospital has 9,000 scans of 3,000 patients, three each, and wants epsilon 3 for every patient. How
# does it ask, and what would one scan of each patient change?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# With a `labels.csv` and `--unit person --per-person 3`. The noise is about three times that for an image,
# and the sums have three times as many records: the same ratio of noise to signal as with `--per-person 1`,
# where three scans of a patient show the same. They are worth it as far as they show different things: the
# spread within a class is then known from more images, and the rounds see more.
# :::
#
# :::{admonition} Exercise 2
# Somebody deletes all scans that a doctor found ambiguous before calling the code. Is the release still
# private?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# For the scans that remain, yes, if whether a scan is kept depends on that scan alone. Which scans were
# removed is not covered by the guarantee unless the number that remains is taken to be public, and a rule
# that looks at other scans (duplicates, say) breaks the assumption that one record changes one slot.
# :::
#
# **Read next**: {doc}`privacy pitfalls </book/pitfalls>`, ranked by severity.
