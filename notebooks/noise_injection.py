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
# ## Where it enters

# %%
import matplotlib.pyplot as plt
import torch

from companion.book.aggregate import ablation, captioned
from companion.book.gallery import gallery
from companion.studies.committed import committed_records, project_root
from dpgen_core.models.generators import ConvGenerator
from dpgen_core.streams import stream

torch.manual_seed(0)
generator = ConvGenerator((1, 28, 28), 10, latent_dim=32, width=16, noise_injection=True)
scales = {name: p.numel() for name, p in generator.named_parameters() if name.endswith("scale")}
print(f"learned scales: {scales}")

# %% [markdown]
# The latent decides an image as a whole; injected noise decides details pixel by pixel. Take one latent, draw the
# injected noise many times, and look at how much each pixel varies. The generator here is untrained:

# %% mystnb={"figure": {"caption": "Standard deviation of each pixel over redraws of the injected noise alone (left) and of the latent alone (right), untrained generator.", "name": "fig-injection"}, "image": {"alt": "Two maps of pixel variation"}} tags=["hide-input"]
one, many = torch.randn(1, 32).expand(200, -1), torch.randn(200, 32)
labels = torch.full((200,), 3)
with torch.no_grad():
    by_noise = generator(one, labels, stream(0, "injection")).std(0)[0]
    fixed = generator(many, labels, stream(0, "injection"))
    silent = ConvGenerator((1, 28, 28), 10, latent_dim=32, width=16, noise_injection=False)
    silent.load_state_dict(generator.state_dict())
    by_latent = silent(many, labels, stream(0, "injection")).std(0)[0]
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
# The privacy noise on the gradient pushes all images of a round in random directions, and a generator can absorb
# that by mapping its latents to less. Diversity *within* a class is the first thing to go. Injected noise gives the
# generator a second, cheap source of variation that no gradient has to create.
#
# ## Does it?
#
# The records decide. *Recall* is the share of real test images that lie among the generated ones, in the features of
# a classifier; *spread* is the mean distance between two images of a class in pixels, over the real one. A change
# within the spread of the seeds is called undecided.

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
# that lean left and strokes that lean right average to upright ones, bright shirts and dark shirts to gray ones. What is
# left are prototypes, and a classifier trained on prototypes has seen no slant and no shade. Noise per pixel does not bring
# them back: no sum of pixel noise leans.
#
# So let the generator draw them. With `appearance_noise=True` (method `efsgd/with-appearance`, off elsewhere) its last
# step shows each image brighter or darker, moved, larger or smaller, and leaning:
#
# $$ \text{shown}(v) = e^{g}\, \text{image}(u), \qquad
#    u = \text{center} + \begin{pmatrix} \text{width} & \text{slant} \\ 0 & \text{height} \end{pmatrix} v. $$
#
# Log brightness $g$ and the five numbers of the map are standard normal times a *strength*, one per class and number. The
# strengths are weights of the generator and learned like all others. Critics and losses see images as shown, so an image
# that happens to lean is matched with a record that leans, and that is what teaches a class how much to lean.

# %% mystnb={"figure": {"caption": "A drawn digit as it is and with one number changed at a time.", "name": "fig-appearance"}, "image": {"alt": "Seven pictures of a digit: plain, brighter, moved right, moved down, wider, higher, slanted"}} tags=["hide-input"]
from dpgen_core.data.sets import load
from dpgen_core.models.appearance import DRAWS, show

digit = load("glyphs", "test", num_records=10, seed=0).images[4:5] * 0.6
titles = ("as it is", "brightness", "center x", "center y", "log width", "log height", "slant")
steps = torch.cat(
    [torch.zeros(1, DRAWS), torch.diag(torch.tensor([0.5, -0.2, -0.2, -0.3, -0.3, 0.4]))]
)
figure, axes = plt.subplots(1, len(titles), figsize=(7.4, 1.4), layout="constrained")
for axis, image, title in zip(
    axes, show(digit.expand(len(steps), -1, -1, -1), steps), titles, strict=True
):
    axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=8)
plt.show()

# %% [markdown]
# Nothing here sees a record, and the strengths are functions of the sanitized releases: it costs no budget. What it adds is
# knowledge from outside, that a class stays itself under another light and a slant. What it buys the paper's parts
# alone, at the same total budget:

# %% tags=["hide-input"]
from companion.book.conclusions import switched_table
from dpgen_core.config.presets import VARIED

captioned(switched_table(records, VARIED))

# %% tags=["hide-input"]
gallery(records, dataset="fashion_mnist", methods=("efsgd", "efsgd/with-appearance"), epsilon=10.0)

# %% [markdown]
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
# **Read next:** {ref}`the whole algorithm <method>`.
