# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 16. Draw from a network
#
# The paper (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) also trains networks that say how probable an image is. From
# such a network one can draw new images, pixel by pixel, and for that the recurrence of notebook 8 is made. We score one, draw from it, turn its
# temperature, and count what a drawing costs.

# %%
import json
from pathlib import Path

import numpy as np
from scipy.special import softmax

from multires_ref import load_model
from multires_ref.plots.sequences import plot_images
from multires_ref.plots.style import new_figure, show

# %% [markdown]
# ## A density model
#
# A *density model* says how probable a sequence is. It does so one sample at a time: the probability of the first, times that of the second given
# the first, and so on. The network for it is *autoregressive*: it gives, at each time n, a distribution of x[n] from the samples before it. (It
# reads the input one step late, so that it cannot peek.) Its outputs at n are the parameters of a mixture of five bell-shaped curves: five logits,
# which are weights after a softmax, five means, five logarithms of widths. What lies within a half step of a pixel's value is that value's
# probability. Its blocks have a second 1x1 map (`mix2` in the drawing of notebook 6).
#
# Our small density model has 4 layers of 32 channels (`data/README.md` says how it was trained). First, is it any good? Its score is
# in *bits per pixel*: how many bits one needs, on average, to say a pixel to somebody who has the model. A pixel has 17 levels,
# so knowing nothing costs log2 17 = 4.09 bits. Knowing how often each level occurs at each place, counted in the training part,
# costs less. A model must beat both.
# %%
from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.evaluate import evaluate
from multires_ref.training.objectives import get_objective

density, parts = load_model("data/density.safetensors"), get_task("digits-density").load(LoadOptions())
score = evaluate(density, parts["test"], get_objective("density", density.config))["bits_per_dim"]

# %%
levels = {name: ((parts[name].x[:, 0] + 1) * 8).round().astype(int) for name in ("train", "test")}  # [N, 64] of 0 ... 16
counts = np.stack([(levels["train"] == value).sum(axis=0) for value in range(17)]) + 1.0  # [17, 64], one for each to be safe
share = counts / counts.sum(axis=0)
by_place = -np.log2(share[levels["test"], np.arange(64)]).mean()
print(f"nothing known {np.log2(17):.2f}, by place {by_place:.2f}, the network {score:.2f} bits per pixel")
assert score < by_place < np.log2(17)

# %% [markdown]
# ## Drawing
#
# To draw: ask for the distribution of the first pixel, roll the dice, feed the pixel back, ask for the next. Here the recurrence is not a luxury:
# without it every pixel costs a run of the whole network.
#
# Above are real digits, below is what the network drew, all of it, none left out. Many can be read, and some are no digits: the network knows
# strokes and their places better than it knows ten shapes.

# %%
from multires_ref.network.sampling import sample, sample_by_recomputing

drawn = sample(density, np.random.default_rng(0), n=30)
figure, ((above,), (below,)) = new_figure(9, 3.3, rows=2)
plot_images(parts["test"].x[:30, 0], above, columns=15, title="real")
plot_images(drawn[:, 0], below, columns=15, title="drawn")
show(figure, "thirty real digits and thirty digits drawn from the network")

# %% [markdown]
# It is the same to start from a given beginning. Give the upper half of a digit, and let the network draw the lower half, five times:

# %%
halves = np.repeat(parts["test"].x[[3, 11, 20]], 5, axis=0)  # [15, 1, 64]
finished = sample(density, np.random.default_rng(1), n=15, given=halves[:, :, :32])
assert np.array_equal(finished[:, :, :32], halves[:, :, :32])
rows = [np.concatenate((halves[5 * k : 5 * k + 1], finished[5 * k : 5 * k + 5])) for k in range(3)]
show(plot_images(np.concatenate(rows)[:, 0], columns=6), "three digits, each followed by five ends drawn for its upper half")

# %% [markdown]
# In each row the first image is the real digit; the others share its upper four rows.
#
# ## Temperature
#
# A number T, the *temperature*, makes the dice braver or more timid: the logits of the mixture are divided by T, and the widths of its curves are
# multiplied by T. 1 is the model itself. With two logits 2 and 0, T = 1 gives the weights 0.88 and 0.12, T = 1/2 gives 0.98 and 0.02: below 1 the
# likelier becomes likelier still. At T = 0 nothing is left to chance.

# %%
for T in (1, 0.5):
    print("T =", T, "weights", softmax(np.array([2.0, 0.0]) / T).round(2))

# %% tags=["varies"]
moods = {t: sample(density, np.random.default_rng(2), n=10, temperature=t) for t in (0.5, 1.0, 1.5)}
spread = {t: round(float(x.std(axis=0).mean()), 2) for t, x in moods.items()}
print("how far ten samples differ, at each temperature:", spread)
assert spread[0.5] < spread[1.0]
figure, axes = new_figure(9, 3.6, rows=3)
for (ax,), (T, x) in zip(axes, moods.items(), strict=True):
    plot_images(x[:, 0], ax, columns=10, title=f"temperature {T:g}")
show(figure, "ten samples each at temperatures 0.5, 1 and 1.5")

# %% [markdown]
# The three rows do not differ as much as one may expect. In the printed spread, the standard deviation of a pixel over the ten samples, they do:
# more timid samples are more alike. In a running notebook the next cell has knobs.

# %%
from ipywidgets import interact


def samples_at(temperature=1.0, seed=0):
    x = sample(density, np.random.default_rng(seed), n=10, temperature=temperature)
    return show(plot_images(x[:, 0], columns=10), f"ten samples at temperature {temperature}")


# %% tags=["varies"]
knobs = interact(samples_at, temperature=(0.0, 2.0, 0.1), seed=(0, 20))

# %% [markdown]
# ## What a step costs
#
# Count multiplications. One step of one sequence costs the same whatever came before (notebook 8): the tree 2 K J + 1 a channel, the two 1x1 maps 2
# D² and D² a block, encoder and decoder D times their channels. The recurrence does L steps. A sampler without one runs the whole network anew for
# every pixel, L runs of L steps each: L times more. (It could run over the pixels so far only, which would halve that.) For our 64 pixels that is a
# factor of 64. For a CIFAR-10 image it is 1,024. The results are the same draws:

# %%
from multires_ref.diagnose.record import cast_model

wide = cast_model(density, "float64")  # so that rounding does not decide which level is the nearest
one, other = (draw(wide, np.random.default_rng(5), n=4, length=24) for draw in (sample, sample_by_recomputing))
assert np.array_equal(one, other)

# %%
from multires_ref.network.account import work_by_part

c = density.config
tree, maps, ends = (
    c.n_layers * c.d_model * (2 * c.kernel_size * c.J + 1),
    c.n_layers * 3 * c.d_model**2,
    c.d_model * (1 + c.d_output),
)
step = sum(work_by_part(c).values())
print(
    f"K = {c.kernel_size}, J = {c.J}: tree {tree:,} + 1x1 maps {maps:,} + encoder and decoder {ends:,} = {tree + maps + ends:,}"
)
print(f"one step: {step:,} multiply-adds; an image by recurrence: {64 * step:,}; from scratch: {64 * 64 * step:,}")
assert step == tree + maps + ends

# %% [markdown]
# Counting is not measuring. A single step is far too little work for NumPy to be quick at: nearly all of its time goes into the calls around the
# numbers, while a whole run computes long arrays at full speed. Here is what was measured, once, with `data/cost_per_step.py`, for networks like
# this one, made for ever longer sequences: seconds of one CPU core for one sequence.

# %%
from multires_ref.plots.speed import plot_costs

measured = json.loads(Path("data/cost_per_step.json").read_text())
L, by_stream, by_network = (measured[name] for name in ("lengths", "stream", "from_scratch"))
print(measured["machine"])
for n, a, b in zip(L, by_stream, by_network, strict=True):
    print(f"L = {n:5,}: counted {n:5,} times, measured {b / a:4.0f} times, so {1 - b / a / n:.0%} of the factor is lost")

# %%
growth = [b / a for a, b in zip(by_stream, by_network, strict=True)]
assert growth == sorted(growth)  # the longer the sequence, the more the recurrence saves
costs = {"by recurrence": by_stream, "from scratch": by_network}
show(
    plot_costs(L, costs, ylabel="CPU seconds per sequence"),
    "time to draw one sequence against its length, with and without recurrence",
)

# %% [markdown]
# The longer the sequence, the more the recurrence saves, and still it saves far less than was counted.
#
# ## Summary
#
# - A density model gives each sample's distribution from those before it; its score is in bits per sample.
# - Drawing is: ask, roll the dice, feed back. With a stream it takes L steps, without one L² of them.
# - The temperature divides the logits and multiplies the widths: 1 is the model.
# - Counted costs are what must be done; a measurement says what it costs to get it done.
#
# ## Exercises
#
# **1** (easy). Of eight equally likely values, how many bits does one need to say which?
#
# **2** (easy). Two logits, 3 and 1. Which weights do they have at T = 1, and at T = 2?
#
# **3** (medium). A model gives a pixel's true value probability 1/2 in half of the cases, and 1/8 in the other half. What is its score in bits per
# pixel?
#
# **4** (medium). How many multiplications does the from-scratch sampler save if it runs over the pixels so far only?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** log2 8 = 3.
#
# **2.** Only the difference counts: e²/(e² + 1) = 0.88 and 0.12; at T = 2 the difference is 1: 0.73 and 0.27.
#
# **3.** (1 + 3) / 2 = 2.
#
# **4.** 1 + 2 + ... + L = L (L + 1) / 2 steps in place of L²: about half.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
assert np.log2(8) == 3 and -np.log2([1 / 2, 1 / 8]).mean() == 2
assert softmax([3, 1]).round(2).tolist() == [0.88, 0.12] and softmax([1.5, 0.5]).round(2).tolist() == [0.73, 0.27]
assert sum(range(1, 65)) == 64 * 65 // 2
