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
# # 8. From convolution to recurrence
#
# In training the whole sequence is there, and the layer is a convolution: all outputs at once. In use the samples may come one
# by one, from a sensor or from the network's own dice, and we want an answer after each of them. Computing everything anew at every
# step would be a waste: what was computed before does not change, because the tree is causal.
#
# So we turn the convolution into a *recurrence*: keep a little, take one sample, give one output. The numbers are the same. Then we
# use it twice: we watch a classifier make up its mind while an image arrives, and we let a network draw digits pixel by pixel.

# %%
import numpy as np

from multires_ref import load_model, memory, receptive_field
from multires_ref.plots.sequences import plot_beliefs, plot_images
from multires_ref.plots.style import new_figure, show
from multires_ref.tree import dilated_conv

# %% [markdown]
# ## One filter, one sample at a time
#
# Level 2 of the tree has dilation s = 2: out[n] = h[0] x[n] + h[1] x[n-2]. To answer at time n we need the newest sample and the
# one two steps back. So two numbers must be remembered, the last two samples, and when a new one comes the older of the two is
# used for the last time and may be overwritten. That is a *ring*: slot n mod 2 holds x[n-2] just before it receives x[n].
#
# | n | comes | ring before | used as x[n-2] | out = x[n] + x[n-2] |
# |---|-------|-------------|----------------|---------------------|
# | 0 | 3     | 0, 0        | 0              | 3                   |
# | 1 | 5     | 3, 0        | 0              | 5                   |
# | 2 | 4     | 3, 5        | 3              | 7                   |
# | 3 | 4     | 4, 5        | 5              | 9                   |
#
# The empty ring, all zeros, *is* the zero history before the beginning.


# %%
def ring_step(ring, n, x, h):
    slot = n % len(ring)  # len(ring) is the dilation
    older, ring[slot] = ring[slot], x
    return h[0] * x + h[1] * older


# %%
x = np.array([3.0, 5.0, 4.0, 4.0, 8.0, 6.0, 1.0, 1.0])
h0, h1, ring = np.array([1.0, 1.0]), np.array([1.0, -1.0]), np.zeros(2)
out = np.array([ring_step(ring, n, x[n], h0) for n in range(8)])
print(out)
assert np.array_equal(out[:4], [3, 5, 7, 9])
assert np.array_equal(out, dilated_conv(x, h0, dilation=2))

# %% [markdown]
# ## The whole tree, one sample at a time
#
# A tree is such steps in a row. The sample goes into level 1; its approximation goes into level 2; and so on. Each level has its own
# ring, of 1, 2, 4, ... numbers. The detail of a level needs the same two numbers as its approximation, so it costs no memory.
#
# How much is kept in all? 1 + 2 + 4 = 7 numbers for J = 3, and 2^J - 1 in general: one less than the receptive field. And how much is
# *done* per sample? Two short filters a level. Memory grows with the past that is seen, work only with its logarithm.


# %%
def tree_step(rings, n, sample, h0, h1):
    a, details = sample, []
    for ring in rings:
        older = ring[n % len(ring)]
        details.append(h1[0] * a + h1[1] * older)
        a = ring_step(ring, n, a, h0)
    return np.array([a, *details[::-1]])  # the fading memory z_n: a_J, b_J, ..., b_1


# %%
rings = [np.zeros(2**i) for i in range(3)]
z = np.stack([tree_step(rings, n, x[n], h0, h1) for n in range(8)], axis=1)
print(z)
assert np.array_equal(z, memory(x, h0, h1, depth=3)[0])
assert sum(len(ring) for ring in rings) == receptive_field(3, 2) - 1 == 7

# %% [markdown]
# Why can we not keep fewer numbers? After all the memory z_n has only J + 1. Because z_n cannot be made from z_{n-1} and x[n]
# alone. Take the signal above, lower x[4] by 1 and raise x[5] by 1. At n = 7 the two stand in one pair for every level: level 2
# compares x[7] + x[6] with x[5] + x[4], and that sum is as before. So z_7 is the same. One sample later level 2 compares
# x[8] + x[7] with x[6] + x[5], and the difference shows. The ring of level 1 knew it all along.
#
# The tree is not down-sampled, so each pair of neighbours will be asked for at one time or another, and must be kept until then.
# What z_n is to the *output*, the rings are to the *update*.

# %%
change = np.array([0.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0])
one, other = (np.append(p, 0.0) for p in (x, x + change))
z_one, z_other = (memory(p, h0, h1, depth=3)[0] for p in (one, other))
print("difference of z_7", z_other[:, 7] - z_one[:, 7], "of z_8", z_other[:, 8] - z_one[:, 8])
assert np.array_equal(z_one[:, 7], z_other[:, 7]) and not np.array_equal(z_one[:, 8], z_other[:, 8])

# %% [markdown]
# ## The whole network
#
# Everything else in a block (GELU, 1x1 maps, gate, norm) looks at one time step only, so it needs no memory at all. The mean at the
# end needs a running sum and a count. `Stream` puts this together: `step(x)` takes one sample and returns what the whole network
# would return for the sequence so far.
#
# We load a trained classifier of digits (4 layers of 48 channels; `figures/data/README.md` says how it was made).

# %% tags=["varies"]
from multires_ref.network.streaming import Stream
from multires_ref.tasks.digits import load
from multires_ref.tasks.task import LoadOptions

model, test = load_model("../figures/data/digits.safetensors"), load(LoadOptions())["test"]
stream, digit = Stream(model), test.x[7:8]  # [1, 1, 64]
logits = np.concatenate([stream.step(digit[:, :, n]) for n in range(64)])
print(f"largest difference at the end: {abs(logits[-1] - model(digit)[0]).max():.0e}, logits of size {abs(logits[-1]).max():.0f}")

# %%
for n in (0, 7, 31, 63):
    assert np.allclose(logits[n], model(digit[:, :, : n + 1])[0], atol=1e-4)
config = model.config
assert stream.ring.size == config.n_layers * config.d_model * (config.receptive_field - 1)

# %% [markdown]
# ## Making up its mind
#
# Now look at the answer after *every* pixel, as probabilities. (This network was trained on whole digits only. What it says early is
# not something that it was ever asked for, which makes it the more interesting to watch.)


# %%
def probabilities(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


stream = Stream(model, batch=len(test))
beliefs = probabilities(np.stack([stream.step(test.x[:, :, n]) for n in range(64)], axis=1))  # [N, 64, 10]
assert np.allclose(beliefs.sum(axis=-1), 1, atol=1e-5)

# %%
chosen = [int(np.argmax(test.y == c)) for c in (0, 4, 7)]
figure, axes = new_figure(9, 7.5, rows=3, columns=2, width_ratios=[1, 4.2])
for (left, wide), i in zip(axes, chosen, strict=True):
    plot_images(test.x[i], left, columns=1)
    plot_beliefs(beliefs[i], "0123456789", wide, title=f"a {test.y[i]}").set_xticks(range(0, 64, 8))
show(figure, "three digits, and the probabilities of the classes as their pixels arrive")

# %% [markdown]
# The ticks are eight pixels apart: one row of the image. How early does it know, on the whole? The share of test digits whose likeliest class is
# right, after each pixel:

# %% tags=["varies"]
right = (beliefs.argmax(axis=-1) == test.y[:, None]).mean(axis=0)  # [64]
print({f"after row {row + 1}": round(float(right[8 * row + 7]), 3) for row in range(8)})
assert np.isclose(right[-1], (model(test.x).argmax(axis=1) == test.y).mean())
assert right[7] < 0.5 < right[-1]

# %%
from multires_ref.plots.style import new_axes

ax = new_axes(9, 3)
ax.plot(right)
ax.set(xlabel="samples seen, less one (n)", ylabel="share of test digits right", xticks=range(0, 64, 8), ylim=(0, 1.02))
ax.grid()
show(ax, "the accuracy on the test digits after each pixel")

# %% [markdown]
# A stream can be put to sleep in the middle and woken elsewhere: all that the past has left is in its state.

# %%
first, second = Stream(model), Stream(model)
for n in range(40):
    first.step(digit[:, :, n])
second.restore(first.state())
assert all(np.array_equal(first.step(digit[:, :, n]), second.step(digit[:, :, n])) for n in range(40, 64))

# %% [markdown]
# ## Drawing digits
#
# An *autoregressive* network gives, at each time n, a distribution of x[n] from the samples before it. (It reads the input one step
# late, so that it cannot peek.) To draw: ask for the distribution of the first pixel, roll the dice, feed the pixel back, ask for
# the next. Here the recurrence is not a luxury: without it every pixel costs a run of the whole network.
#
# Our small density model has 4 layers of 32 channels (`data/README.md` says how it was trained). First, is it any good? Its score is
# in *bits per pixel*: how many bits one needs, on average, to say a pixel to somebody who has the model. A pixel has 17 levels,
# so knowing nothing costs log2 17 = 4.09 bits. Knowing how often each level occurs at each place, counted in the training part,
# costs less. A model must beat both.

# %%
from multires_ref.tasks import get_task
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
# Now draw. Above are real digits, below are digits that never were.

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
# A knob: the *temperature* makes the dice braver or more timid. 1 is the model itself; below 1 the likelier becomes likelier still.

# %% tags=["varies"]
moods = {t: sample(density, np.random.default_rng(2), n=10, temperature=t) for t in (0.5, 1.0, 1.5)}
spread = {t: round(float(x.std(axis=0).mean()), 2) for t, x in moods.items()}
print("how far ten samples differ, at each temperature:", spread)
assert spread[0.5] < spread[1.0]
show(plot_images(np.concatenate(list(moods.values()))[:, 0], columns=10), "samples at temperatures 0.5, 1 and 1.5, row by row")

# %%
from ipywidgets import interact


def samples_at(temperature=1.0, seed=0):
    x = sample(density, np.random.default_rng(seed), n=10, temperature=temperature)
    return show(plot_images(x[:, 0], columns=10), f"ten samples at temperature {temperature}")


# %% tags=["varies"]
knobs = interact(samples_at, temperature=(0.0, 2.0, 0.1), seed=(0, 20))

# %%
assert samples_at(0.0, seed=3).png == samples_at(0.0, seed=4).png  # at temperature 0 nothing is left to chance
assert samples_at(1.0, seed=3).png != samples_at(1.0, seed=4).png

# %% [markdown]
# ## What a step costs
#
# Count multiply-adds. One step of one sequence costs the same whatever came before. The recurrence does L of them. Running
# the whole network for every pixel, as a sampler without a recurrence does, costs L runs of L steps each: L times more. For our
# 64 pixels that is a factor of 64. For a CIFAR-10 image it is 1,024. The results are the same draws:

# %%
from multires_ref.diagnose.record import cast_model

wide = cast_model(density, "float64")  # so that rounding does not decide which level is the nearest
one, other = (draw(wide, np.random.default_rng(5), n=4, length=24) for draw in (sample, sample_by_recomputing))
assert np.array_equal(one, other)

# %%
from multires_ref.network.account import work_by_part

step = sum(work_by_part(density.config).values())
print(f"one step: {step:,} multiply-adds; an image by recurrence: {64 * step:,}; from scratch: {64 * 64 * step:,}")
assert step > 2 * density.config.n_layers * density.config.d_model**2  # the 1x1 maps alone

# %% [markdown]
# Counting is not measuring: a single step is too little work for NumPy to be quick at, so the recurrence loses a part of its factor to
# the calls around the numbers. Here is what was measured, once, with `data/cost_per_step.py`, for networks like this one, made for ever
# longer sequences: seconds of one CPU core for one sequence.

# %%
import json
from pathlib import Path

from multires_ref.plots.speed import plot_costs

measured = json.loads(Path("data/cost_per_step.json").read_text())
L, by_stream, by_network = (measured[name] for name in ("lengths", "stream", "from_scratch"))
print(measured["machine"], "\n", {n: f"{b / a:.0f} times" for n, a, b in zip(L, by_stream, by_network, strict=True)})

# %%
growth = [b / a for a, b in zip(by_stream, by_network, strict=True)]
assert growth == sorted(growth)  # the longer the sequence, the more the recurrence saves
costs = {"by recurrence": by_stream, "from scratch": by_network}
show(
    plot_costs(L, costs, ylabel="CPU seconds per sequence"),
    "time to draw one sequence against its length, with and without recurrence",
)

# %% [markdown]
# ## Summary
#
# - A causal filter of dilation s and two taps is a **ring** of s numbers; a tree of J levels keeps 2^J - 1 numbers a channel, one less
#   than it sees. The work of a step grows with J only.
# - `Stream` runs a network sample by sample and gives the numbers of the whole-sequence network. Its state can be saved and restored.
# - A classifier's mean over time gives an answer at every pixel; a density model can be sampled in L steps instead of L².
#
# ## Exercises
#
# **1** (easy). How many numbers does the stream of a layer with K = 2, J = 10 keep for one channel? And with K = 4, J = 10?
#
# **2** (easy). In the table of the first section, what is in the ring after n = 4, and what is out[4]?
#
# **3** (medium). Write `ring_step` for a filter of K = 3 taps and dilation s.
#
# **4** (medium). Which of these could be streamed *without* the rings: a network of depth J = 1; the mean over time; a
# bidirectional network?
#
# **5** (harder). A colleague's stream agrees with the network on the first sequence, and not on the second. What was forgotten?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** 2^10 - 1 = 1,023; and 3 (2^10 - 1) = 3,069: (K - 1)(2^J - 1).
#
# **2.** The ring held 4, 4 (slots 0 and 1). At n = 4 slot 0 gives x[2] = 4 and receives 8: the ring is 8, 4 and out[4] = 12.
#
# **3.** The ring has (K - 1) s = 2 s numbers. Slot n mod 2s holds x[n - 2s], and slot (n - s) mod 2s holds x[n - s]. Below.
#
# **4.** Depth 1 still needs one number, a ring of one. The mean needs a sum and a count, no ring. A bidirectional network needs
# the future, so it cannot be streamed at all.
#
# **5.** To `reset()`: the rings still hold the end of the first sequence. Checked below.
# </details>


# %% jupyter={"source_hidden": true} tags=["solution"]
def ring_step_3(ring, n, x, h):
    s, size = len(ring) // 2, len(ring)
    middle, oldest = ring[(n - s) % size], ring[n % size]
    ring[n % size] = x
    return h[0] * x + h[1] * middle + h[2] * oldest


# %% jupyter={"source_hidden": true} tags=["solution"]
assert receptive_field(10, 2) - 1 == 1023 and receptive_field(10, 4) - 1 == 3069
ring = np.zeros(2)
assert [ring_step(ring, n, x[n], h0) for n in range(5)][4] == 12 and ring.tolist() == [8, 4]
h, ring = np.array([1.0, 10.0, 100.0]), np.zeros(2 * 2)
assert np.array_equal([ring_step_3(ring, n, x[n], h) for n in range(8)], dilated_conv(x, h, dilation=2))

# %% jupyter={"source_hidden": true} tags=["solution"]
stream, outputs = Stream(model), []
for reset in (True, False, True):
    if reset:
        stream.reset()
    outputs.append([stream.step(digit[:, :, n]) for n in range(64)][-1])
assert np.array_equal(outputs[0], outputs[2]) and not np.allclose(outputs[0], outputs[1])
