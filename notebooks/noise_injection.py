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
# (noise-injection)=
# # Noise injection and diversity
#
# *What the paper says:* noise is injected into the generator while it upsamples, for diversity. The exact form is
# not public. *What the lineage does:* nothing of the kind. *What we do:* per-pixel Gaussian noise after each
# upsampling convolution with one learned scale per channel, as in StyleGAN {cite:p}`karras2019stylegan`; and, as a switch
# of ours, noise in {ref}`how an image is shown <appearance-noise>`.
#
# This noise has nothing to do with privacy. It is public, it is part of the generator, and it costs no budget. Two
# noises in one paper are easily confused:
#
# | | privacy noise | injected noise |
# |---|---|---|
# | added to | the sum of clipped contributions | feature maps of the generator |
# | drawn from | a secret stream | a public stream |
# | size | fixed by the budget | learned |
# | purpose | hide a record | vary what the latent does not say |
#
# *After this chapter you can* write the layer, tell the two noises apart, and say what the records show that it buys.

# %% tags=["parameters"]
latent_dim = 32
width = 16  # channels at full resolution
redraws = 200  # of the noise, and of the latent
digit = 4  # shown with appearance noise
seed = 0

# %% tags=["hide-input"]
from companion.book.pages import check_parameters

check_parameters(globals(), ("latent_dim", "width", "redraws", "digit", "seed"))

import matplotlib.pyplot as plt
import torch

from companion.book.aggregate import ablation, captioned
from companion.book.gallery import gallery
from companion.studies.committed import committed_records, project_root
from dpgen_core.checks import check_int, require
from dpgen_core.models.generators import ConvGenerator
from dpgen_core.models.noise_injection import FORMS, NoiseInjection
from dpgen_core.streams import stream

check_int("latent_dim", latent_dim, low=1, fix="latent_dim=32")
check_int("width", width, low=4, fix="width=16")
require(width % 4 == 0, "width", width, "divisible by 4", "width=16")
check_int("redraws", redraws, low=2, high=2000, fix="redraws=200")
check_int("digit", digit, low=0, high=9, fix="digit=4")
check_int("seed", seed, low=0, fix="seed=0")

# %% [markdown]
# ## Where it enters
#
# The layer takes feature maps $h$ of shape (images, channels, height, width). It draws one map of normal numbers $n$ per
# image and adds it to every channel $c$, times a learned scale $s_c$:
#
# $$ h_c \leftarrow h_c + s_c\, n, \qquad n_{ij} \sim \mathcal N(0, 1). $$


# %%
class Injection(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((channels, 1, 1), 0.1))  # learned

    def forward(self, h, noise):
        n = torch.randn(len(h), 1, *h.shape[2:], generator=noise)  # one map for all channels
        return h + self.scale * n


# %% [markdown]
# The package's layer can be switched off for the ablation, and lets several processes share a batch. Otherwise it is
# the same:

# %%
features = torch.zeros(2, width, 14, 14)
with torch.no_grad():
    ours = Injection(width)(features, stream(seed, "injection"))
    packaged = NoiseInjection(width, FORMS["pixel"])(features, stream(seed, "injection"))
assert torch.equal(ours, packaged)

torch.manual_seed(seed)
generator = ConvGenerator((1, 28, 28), 10, latent_dim=latent_dim, width=width, noise_form="pixel")
scales = {name: p.numel() for name, p in generator.named_parameters() if name.endswith("scale")}
print(f"this page's layer and the package's are equal; learned scales of a generator: {scales}")

# %% [markdown]
# The latent decides an image as a whole; injected noise decides details pixel by pixel. Take one latent, draw the
# injected noise many times, and look at how much each pixel varies. The generator here is untrained:

# %% mystnb={"figure": {"caption": "Standard deviation of each pixel over redraws of the injected noise alone (left) and of the latent alone (right), untrained generator.", "name": "fig-injection"}, "image": {"alt": "Two maps of how much each pixel varies: fine, even grain under the injected noise, larger and brighter patches under the latent."}} tags=["hide-input"]
one, many = torch.randn(1, latent_dim).expand(redraws, -1), torch.randn(redraws, latent_dim)
labels = torch.full((redraws,), 3)
with torch.no_grad():
    by_noise = generator(one, labels, stream(seed, "injection")).std(0)[0]
    fixed = generator(many, labels, stream(seed, "injection"))
    silent = ConvGenerator((1, 28, 28), 10, latent_dim, width, noise_form=None)
    silent.load_state_dict(generator.state_dict())
    by_latent = silent(many, labels, stream(seed, "injection")).std(0)[0]
figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.8), layout="constrained")
for axis, values, title in zip(
    axes, (by_noise, by_latent), ("injected noise", "latent"), strict=True
):
    shown = axis.imshow(values, cmap="viridis", vmin=0, vmax=float(by_latent.max()))
    axis.set(title=title, xticks=[], yticks=[])
figure.colorbar(shown, ax=axes, shrink=0.8)
plt.show()

# %% [markdown]
# ## Why it might help here
#
# The privacy noise on the gradient pushes all images of a round in random directions. A generator can cope by paying
# less attention to its latents, and diversity *within* a class is the first thing to go. Injected noise is a second
# source of variation, and one that no gradient has to create.
#
# ## Does it?
#
# The records decide. *Recall* is the share of real test images that lie among the generated ones, in the features of
# a classifier; *spread* is the mean distance between two images of a class in pixels, over the real one. A change
# counts as decided only where its differences, seed by seed, show it with the number of comparisons corrected for.

# %% tags=["hide-input"]
records = committed_records(project_root() / "results")
captioned(
    ablation(
        [r for r in records if r.config.method in ("efsgd", "efsgd/no-noise-injection")],
        dataset="mnist",
        base="efsgd",
        epsilon=10.0,
    )
)

# %% tags=["hide-input"]
gallery(records, dataset="mnist", methods=("efsgd", "efsgd/no-noise-injection"), epsilon=10.0)

# %% [markdown]
# (appearance-noise)=
# ## Noise in how an image is shown
#
# The rounds of `efsgd` ask an image to move towards what {ref}`a whole cohort wants on average <cohort-targets>`. Strokes
# that lean left and strokes that lean right average to upright ones, bright shirts and dark shirts to gray ones. Where owners
# pull to records (`efsgd/with-matched`), what is left are prototypes, and a classifier trained on prototypes has seen no slant
# and no shade. Class moments say how far each frequency varies, and nothing of how they vary together, as they do when a
# stroke leans. Noise per pixel does not bring that back: no sum of pixel noise leans.
#
# So let the generator draw them. With `appearance_noise=True` (method `efsgd/with-appearance`, off elsewhere) its last
# step shows each image brighter or darker, moved, larger or smaller, and leaning:
#
# $$ \text{shown}(v) = e^{g}\, \text{image}(u), \qquad
#    u = \text{center} + \begin{pmatrix} \text{width} & \text{slant} \\ 0 & \text{height} \end{pmatrix} v. $$
#
# Log brightness $g$ and the five numbers of the map are standard normal times a *strength*, one per class and number. The
# strengths are weights of the generator and learned like all others. Critics and losses see images as shown, so where records
# vary more in what a lean moves, an image that happens to lean is pulled further that way, and that is what teaches a class
# how much to lean.

# %% mystnb={"figure": {"caption": "A drawn digit as it is and with one number changed at a time.", "name": "fig-appearance"}, "image": {"alt": "Seven pictures of a digit: as it is, brighter, shifted along each axis, changed in width and in height, and slanted."}} tags=["hide-input"]
from dpgen_core.data.sets import load
from dpgen_core.models.appearance import DRAWS, show

glyphs = load("glyphs", "test", num_records=100, seed=seed)
plain = glyphs.images[glyphs.labels == digit][:1] * 0.6
titles = ("as it is", "brightness", "center x", "center y", "log width", "log height", "slant")
steps = torch.cat(
    [torch.zeros(1, DRAWS), torch.diag(torch.tensor([0.5, -0.2, -0.2, -0.3, -0.3, 0.4]))]
)
figure, axes = plt.subplots(1, len(titles), figsize=(7.4, 1.4), layout="constrained")
for axis, image, title in zip(
    axes, show(plain.expand(len(steps), -1, -1, -1), steps), titles, strict=True
):
    axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=8)
plt.show()

# %% [markdown]
# Nothing here sees a record, and the strengths are functions of the sanitized releases, so it costs no budget. It adds
# knowledge from outside: a class stays itself in another light and with a slant. This is what it buys the paper's
# parts alone, at the same total budget:

# %% tags=["hide-input"]
from companion.book.conclusions import switched_table
from dpgen_core.config.presets import VARIED

captioned(switched_table(records, VARIED))

# %% tags=["hide-input"]
gallery(records, dataset="fashion_mnist", methods=("efsgd", "efsgd/with-appearance"), epsilon=10.0)

# %% [markdown]
# ## Summary
#
# * Injected noise is part of the public generator and no privacy noise.
# * Per pixel it varies detail, and no sum of pixel noise leans; appearance noise varies how an image is shown.
# * The records above say what each buys.
#
# ## Exercises
#
# :::{admonition} Exercise 1
# Is the trained scale of the injected noise private information?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# It is a parameter of the generator, and so a function of the sanitized releases: covered by the guarantee, like all
# weights.
# :::
#
# :::{admonition} Exercise 2
# Could the injected noise be drawn from the secret stream? What would be lost?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# It could, at no cost in privacy. But the generator's step is taken at the images of the round, and whoever wants to
# check a run from its releases must be able to compute these images again.
# :::
#
# :::{admonition} Exercise 3
# Could the generator cancel its own appearance noise, and make every image upright after all?
# :::
#
# :::{admonition} Solution
# :class: dropdown
# Not before it: the draws come after the last convolution, which does not see them. But it can let the strengths go to zero: they are
# weights like all others, and where the records of a class do not differ in a number nothing holds its strength up.
# :::
#
# **Read next:** {doc}`clipping bias and error feedback </book/_executed/clipping_bias>`.
