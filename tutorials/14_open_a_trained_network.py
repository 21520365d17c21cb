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
# # 14. Open a trained network
#
# A network of the kind of notebook 6 has been trained to read digits. Now we open it and ask: what did your filters become, which scale do your
# decisions rest on, and what are you without it? It is the paper's network (Shi, Wang and Fox, [arXiv
# 2305.01638](https://arxiv.org/abs/2305.01638)), small: two blocks of 16 channels. So that every number below stands still, its parameters are
# stored (`data/README.md` says by which command they were trained).

# %%
import copy

import numpy as np

from multires_ref import Model, load_model, random_filters
from multires_ref.memories import memory_matrix
from multires_ref.plots.style import new_figure, show
from multires_ref.tasks import get_task
from multires_ref.tasks.task import LoadOptions

model, test = load_model("data/digits_small.safetensors"), get_task("digits").load(LoadOptions())["test"]
config, guesses = model.config, model(test.x).argmax(axis=1)
accuracy = float((guesses == test.y).mean())
print(f"right on the test part: {accuracy:.1%}")

# %% [markdown]
# ## What the filters became
#
# A filter of two taps is two numbers, and there is a way to choose them that shows what the filter does. Send it a constant signal 1, 1, 1, ...:
# out comes h[0] + h[1]. Send it the fastest alternation 1, -1, 1, ...: out comes h[0] - h[1], alternating. Those two gains *are* the filter. For
# example (0.5, 0.5) has gains 1 and 0: it lets the slow pass and stops the fast, a low-pass filter. (0.5, -0.5) has 0 and 1.

# %%
from multires_ref.plots.filters import plot_learned_filters, two_gains
from multires_ref.plots.model import initial_layers, layers
from multires_ref.plots.scales import plot_scale_gains, scale_shares

start, end = initial_layers(config, seed=0), layers(model)
assert np.array_equal(two_gains(np.array([0.5, 0.5])), [1, 0])
assert np.array_equal(two_gains(np.array([0.5, -0.5])), [0, 1])

# %% [markdown]
# So a filter is a point in a plane: across its gain for a constant, up its gain for alternation. Below, each line begins where a channel's filter
# was drawn at random, and ends with a marker where training left it. The stars are Haar's filters: h0 on the horizontal axis, h1 on the vertical
# one. (The opposite point would do as well: w can undo a sign.) If training made wavelets, the markers would gather at the stars and opposite them.
# Nothing in the loss asks for that, and they do not.

# %%
figure, (axes,) = new_figure(9, 4.4, columns=2)
for n, (a, b) in enumerate(zip(start, end, strict=True)):
    plot_learned_filters(a, b, axes[n], title=f"layer {n + 1}")
    axes[n].plot([2**0.5, 0], [0, 2**0.5], "*", color="black", ms=11, label="Haar's h0, h1", zorder=4)
    axes[n].set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
show(figure, "the gains of each channel's filters, at the start and after training")

# %% [markdown]
# Let us put a number to it. For the gains (c, f) of an h0, the share c² / (c² + f²) is 1 for a pure low-pass filter, 0 for a
# pure high-pass one, and around a half for one drawn at random. We print its mean over the channels, before and after, for h0
# and for h1.


# %%
def lowness(h):
    c, f = two_gains(h).T
    return float((c**2 / (c**2 + f**2)).mean())


for n, (a, b) in enumerate(zip(start, end, strict=True)):
    print(f"layer {n + 1}", {name: (round(lowness(a[name]), 2), round(lowness(b[name]), 2)) for name in ("h0", "h1")})
assert lowness(np.array([[1.0, 1.0]])) == 1 and lowness(np.array([[1.0, -1.0]])) == 0

# %% [markdown]
# How far did they go towards a wavelet? Hardly at all. The h0 moved from below a half to about a half, which is neither low nor high, and the h1 of
# layer 2 even went the low-pass way. The two filters of a channel serve the task, and not the names that we gave them.
#
# How much does each scale weigh in a layer? Feed the layer white noise of standard deviation 1: row r of the memory then adds to the output
# a standard deviation of |w[r]| times the norm of that row's response. In percent of the layer's total, averaged over channels, before
# and after:

# %%
figure, (axes,) = new_figure(9, 2.0, columns=2)
top = max(scale_shares(blocks, config.J).max() for blocks in (start, end))
plot_scale_gains(start, config.J, ax=axes[0], title="at the start (percent)", top=top)
plot_scale_gains(end, config.J, ax=axes[1], title="after training", top=top)
assert np.allclose(scale_shares(end, config.J).sum(axis=1), 1)
show(figure, "the share of each scale in each layer, before and after training")

# %% [markdown]
# ## Which scale a decision rests on
#
# The layer is *linear*. So one output y[n] is a plain sum of contributions, and we may sort the terms as we like: by row of the memory (the scale),
# and by how old the sample was (the lag). A worked number with sum and fall, J = 2: for x = (1, 2, 3, 4) at n = 3 the memory is a_2 = 10,
# b_2 = (1 + 2) - (3 + 4) = -4, b_1 = 3 - 4 = -1. With w = (1, 0, 2) and a skip of 0.5 the output is 10 + 0 - 2 + 0.5 * 4 = 10. Of the 10 of a_2, the newest
# sample gave 4 and the oldest 1.

# %%
from multires_ref.plots.analysis import split_output

fall = np.array([1.0, 1.0]), np.array([-1.0, 1.0])
split, names = split_output(np.array([1.0, 2.0, 3.0, 4.0]), *fall, np.array([1.0, 0.0, 2.0]), 0.5, n=3)
print(names, "\n", split + 0.0)
assert split.sum() == 10 and np.array_equal(split.sum(axis=1), [10, 0, -2, 2])
assert np.array_equal(split[0], [4, 3, 2, 1])

# %% [markdown]
# **A warning: with two taps the split is not unique.** Notebook 4 (exercise 5) found that the scales and the skip depend on each other, a₂ - b₂ - 2
# b₁ - 4 skip = 0. So the weights (1, 0, 2) and 0.5 can be exchanged for (1, 0, 2) + (1, -1, -2) = (2, -1, 0) and 0.5 - 4 = -3.5, and the layer
# stays the same filter. Its split does not:

# %%
other, _ = split_output(np.array([1.0, 2.0, 3.0, 4.0]), *fall, np.array([2.0, -1.0, 0.0]), -3.5, n=3)
print("one set of weights:", split.sum(axis=1), " the other:", other.sum(axis=1))
assert np.allclose(split.sum(axis=0), other.sum(axis=0))  # lag by lag the two agree

# %% [markdown]
# Lag by lag the two agree, since the filter is the same; scale by scale they do not. Parts that are large, of opposite sign and at the same lag, as
# +3, +3, -6, are this freedom and no finding. With K = 2 there is one such combination in every layer; filters of three or more taps, drawn at
# random, have none:

# %%
for K in (2, 3, 4):
    r0, r1 = random_filters(np.random.default_rng(0), D=1, K=K, dtype="float64")
    M = memory_matrix(r0[0], r1[0], depth=5)[0]
    rows = np.vstack((M, np.eye(1, M.shape[1])))  # the six rows of the memory, and the skip
    print(f"K = {K}: {len(rows)} rows, {np.linalg.matrix_rank(rows)} of them independent")

# %% [markdown]
# Now our trained network's first layer, one channel, at the last pixel of a digit. The split of a layer's output is *exact*: the sum of all parts
# is the output, to rounding.

# %%
seen = {}
model(test.x[:1], hook=seen.__setitem__)
conv, v = end[0], seen["encoder"][0, 3].astype(float)  # channel 3's input
split, names = split_output(v, *(conv[name][3] for name in ("h0", "h1", "w", "w_skip")), n=63)
print(dict(zip(names, split.sum(axis=1).round(2).tolist(), strict=True)))
assert np.isclose(split.sum(), seen["blocks.0.conv"][0, 3, 63], atol=1e-5)

# %% [markdown]
# From an output to a *decision* there is more on the way: GELU, gate, norm, the mean over time. Those are not linear. But at a given example we can
# ask how the decision would change with each output of the last layer, which is a gradient g, and carry the exact split through it. The decision is
# measured by its margin: the logit of the class less the mean of the other logits. What is split is g · c, the *linear part* of the last layer's
# say.
#
# When would that be the margin itself? Only if everything behind the layer were linear: without GELU, gate and norm the margin is g · c plus a
# constant, and the split is exact. With them it holds to first order, for small changes of c. So it is an honest sum, and no proof of cause; for
# that we shall switch scales off in a moment.

# %%
from multires_ref.plots.attribution import decision_parts, last_layer, margin_gradient
from multires_ref.plots.scales import plot_parts
from multires_ref.plots.sequences import plot_image

right = int(np.flatnonzero(guesses == test.y)[0])
digit, said = test.x[right], int(guesses[right])
parts_of, names = decision_parts(model, digit, said)
v, c = last_layer(model, digit)
assert np.isclose(parts_of.sum(), (margin_gradient(model, v, c, said) * c).sum(), rtol=1e-4)

# %%
figure, ((left, wide),) = new_figure(9, 3.2, columns=2, width_ratios=[1, 3.2])
plot_image(digit.reshape(8, 8), left, title=f"a {test.y[right]}, read as {said}")
plot_parts(parts_of, names, wide, title=f"what speaks for {said}", label="margin")
show(figure, "a digit, and the parts of the decision by scale and by lag")

# %% [markdown]
# Rows are scales, the coarsest on top, and lags are in octaves, each step summed over all times n. A step upwards speaks for the answer, one
# downwards against it; the numbers at the right are the sums of the rows. A coarse row spreads over long lags, a fine row sits at short ones.
#
# Two warnings. The lags are those of the *last* layer, and what it looks back at is not the pixels but the output of layer 1, which is itself a mix
# of up to 64 pixels. So lag 8 is not "the pixel above": it is what layer 1 said eight steps ago. And at lags 0 and 1 the parts of the fine scales
# and of the skip may cancel, as above.
#
# Two more digits, one of them misread; in a running notebook the knob counts through the test part.


# %%
def decision(i, ax=None):
    said = int(guesses[i])
    title = f"test digit {i}, a {test.y[i]}: what speaks for {said}"
    return plot_parts(*decision_parts(model, test.x[i], said), ax, title=title, label="margin")


# %%
figure, axes = new_figure(9, 5.4, rows=2, sharex=True)
for (ax,), i in zip(axes, (right + 1, int(np.flatnonzero(guesses != test.y)[0])), strict=True):
    decision(i, ax)
axes[0, 0].set_xlabel("")
show(figure, "the parts of the decisions on two more digits, the second of which was misread")

# %% tags=["varies"]
from ipywidgets import interact

knob = interact(lambda i: show(decision(i), f"the parts of the decision on test digit {i}"), i=(0, len(test) - 1))

# %% [markdown]
# Now switch things off. Set one column of w to zero in *both* layers, so that nothing of that scale reaches any output, and test
# again, without training anew. What the accuracy loses is what the trained network relied on that scale for.

# %%
from multires_ref.plots.training import plot_runs


def accuracy_without(r):
    params = copy.deepcopy(model.params)
    for block in params["blocks"]:
        block["conv"]["w"][:, r] = 0
    return (Model(config, params, model.state)(test.x).argmax(axis=1) == test.y).mean()


# %%
lost = {"nothing": accuracy}
lost |= {f"{name} switched off": accuracy_without(r) for r, name in enumerate(names[:-1])}
print({name: round(float(a), 3) for name, a in lost.items()})
show(plot_runs({name: [a] for name, a in lost.items()}), "test accuracy with one scale switched off in both layers")

# %% [markdown]
# Which scale does this network need most? Compare with the percentages further up: what a scale weighs on noise is not what it weighs in a
# decision. And another warning: a network that had been *trained* without the scale might do well. Switching off asks what this network relies on;
# only training anew, as in notebook 15, asks what is needed.
#
# ## Summary
#
# - Learned filters need not be a wavelet's. At the start the coarse scales are hardly heard; training makes them heard.
# - A layer's output splits exactly into scales and lags; with two taps the split by scale is not unique, the one by lag is.
# - The split of a decision is its linear part: exact only where everything behind the layer is linear. Its lags count outputs of the layer before,
#   not samples.
# - Switching a scale off shows what the network relied on.
#
# ## Exercises
#
# **1** (easy). Which two gains has the filter (1, 0)? And (0, 1)? What do they do to a signal?
#
# **2** (easy). In the worked split, which part of the 10 came from the sample x[1] = 2, over all scales and the skip?
#
# **3** (medium). J = 1, two taps, h0 and h1 anything. Why are a₁, b₁ and the skip always dependent?
#
# **4** (medium). Make w and w_skip of the trained network's last layer twice as large. Is the split of a decision twice as large?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** (1, 0) has gains 1 and 1: it passes everything, it is the identity. (0, 1) has 1 and -1: it passes everything too, one step late, and a
# step turns 1, -1, 1 into -1, 1, -1.
#
# **2.** x[1] is two samples old at n = 3. It has weight 1 in a₂, 1 in b₂, 0 in b₁ and the skip: 1 · 1 · 2 + 0 = 2, all through a₂.
#
# **3.** They are three filters of two taps, and there are only two independent ones.
#
# **4.** c doubles, but g does not stay: GELU, gate and norm bend, so at the new c the gradient is another one. See below.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
assert np.array_equal(two_gains(np.array([1.0, 0.0])), [1, 1]) and np.array_equal(two_gains(np.array([0.0, 1.0])), [1, -1])
split, _ = split_output(np.array([1.0, 2.0, 3.0, 4.0]), *fall, np.array([1.0, 0.0, 2.0]), 0.5, n=3)
assert split[:, 2].tolist() == [2, 0, 0, 0]
r0, r1 = random_filters(np.random.default_rng(1), D=1, K=2, dtype="float64")
assert np.linalg.matrix_rank(np.vstack((r0, r1, [[1, 0]]))) == 2
doubled = copy.deepcopy(model.params)
for name in ("w", "w_skip"):
    doubled["blocks"][-1]["conv"][name] *= 2
parts_of_twice, _ = decision_parts(Model(config, doubled, model.state), digit, said)
assert not np.isclose(parts_of_twice.sum(), 2 * parts_of.sum(), rtol=0.01)
