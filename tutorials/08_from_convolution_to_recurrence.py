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
# So we turn the convolution of the paper (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) into a *recurrence*: keep a
# little, take one sample, give one output. The numbers are the same. We count what is kept and what a step costs, and use it: we watch a classifier
# make up its mind while an image arrives. Notebook 16 lets a network draw digits with it, pixel by pixel.

# %%
import numpy as np

from multires_ref import Model, NetworkConfig, load_model, memory, receptive_field
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
h0, h1, ring = np.array([1.0, 1.0]), np.array([-1.0, 1.0]), np.zeros(2)
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
#
# Filters of K taps are the same with more places: level i needs its input at n - s, n - 2 s, ..., n - (K - 1) s with s = 2^(i-1), so its ring has
# (K
# - 1) s numbers. With K = 3 and s = 2 that is four, and the taps read slots (n - 2) mod 4 and n mod 4, the second of which is then overwritten. In
#   all (K - 1)(2^J - 1).


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
# Why can we not keep fewer numbers? After all the memory z_n has only J + 1. Because z_n cannot be made from z_{n-1} and x[n] alone. Take the
# signal above, lower x[4] by 1 and raise x[5] by 1. At n = 7 the two stand in one pair for every level: level 2 compares x[7] + x[6] with x[5] +
# x[4], and that sum is as before. So z_7 is the same. One sample later level 2 compares x[8] + x[7] with x[6] + x[5], and the difference shows.
# Which ring knew it? Not that of level 1: it holds x[7] alone, which was not changed. That of level 2 holds a₁[6] = x[6] + x[5], which is higher by
# 1, and a₁[7]. And that of level 3 holds a₂[4], which is lower by 1.
#
# The tree is not down-sampled, so each pair of neighbours will be asked for at one time or another, and must be kept until then.
# What z_n is to the *output*, the rings are to the *update*.

# %%
change = np.array([0.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0])
one, other = (np.append(p, 0.0) for p in (x, x + change))
z_one, z_other = (memory(p, h0, h1, depth=3)[0] for p in (one, other))
print("difference of z_7", z_other[:, 7] - z_one[:, 7], "of z_8", z_other[:, 8] - z_one[:, 8])


def rings_after(signal):
    kept = [np.zeros(2**i) for i in range(3)]
    for n, sample in enumerate(signal):
        tree_step(kept, n, sample, h0, h1)
    return kept


for level, (a, b) in enumerate(zip(rings_after(x), rings_after(x + change), strict=True), start=1):
    print(f"ring of level {level}: difference", b - a)
assert np.array_equal(z_one[:, 7], z_other[:, 7]) and not np.array_equal(z_one[:, 8], z_other[:, 8])

# %% [markdown]
# ## The whole network
#
# Everything else in a block (GELU, 1x1 maps, gate, norm: notebook 6 draws it) looks at one time step only, so it needs no memory at all. The mean
# at the end needs a running sum and a count. `Stream` puts this together: `step(x)` takes one sample and returns what the whole network would
# return for the sequence so far.
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
# Now look at the answer after *every* pixel, as probabilities. (A network's ten outputs, its *logits*, become probabilities by the softmax: exp of
# each, divided by the sum of all. This network was trained on whole digits only. What it says early is not something that it was ever asked for,
# which makes it the more interesting to watch.)
#
# A 0, a 4 and a 7, the first of each in the test part: three digits that begin differently. The legend names the three classes that come highest;
# the others are grey, with their names where they lead for a while.


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
# ## What a step costs
#
# Count multiplications for one channel and one sample, K taps and J levels. The approximations: J filters of K taps, K J. The details and their
# weights: nothing is gained by computing b_i and multiplying it by w_i, since q_i = w_i h1 can be made once (notebook 5 *folds* it), so J more
# filters of K taps, again K J. The skip weight has joined the first tap of q₁. And one for w_a a_J:
#
# $$2 K J + 1$$
#
# For K = 2 and J = 6 that is 25, whatever came before, and it grows with the logarithm of the past. Around it stand the 1x1 maps, 2 D² a block, D
# times as many for each channel. For this classifier:

# %%
from multires_ref.network.account import work_by_part

K, J, D, N = config.kernel_size, config.J, config.d_model, config.n_layers
print(f"K = {K}, J = {J}: {2 * K * J + 1} a channel; times {D} channels and {N} layers: {N * D * (2 * K * J + 1):,}")
print("the package counts", {name: f"{count:,}" for name, count in work_by_part(config).items()})
assert work_by_part(config)["tree"] == N * D * (2 * K * J + 1) and work_by_part(config)["1x1 maps"] == N * 2 * D * D

# %% [markdown]
# ## The uniform memory in a stream
#
# The uniform memory looks at older details too: the newest t of level i, 2^i apart. Where do they come from? By folding, they are one longer filter
# over the *approximation below*, q_i[2 r + k] = w_i[r] h1[k], of Q = 2 (t - 1) + K taps. So the same ring serves, only longer: (Q - 1) 2^(i-1)
# numbers in place of (K - 1) 2^(i-1). A step costs K J + Σ Q_i + 1.
#
# By hand for K = 2, J = 3 and m = 5: a₃, b₃, two of level 2, one of level 1 (notebook 3). Q is 2, 4, 2 for the levels 3, 2, 1. The rings have 1 ·
# 4, 3 · 2 and 1 · 1 numbers, eleven in place of seven.

# %%
from multires_ref.engines.rings import plan_rings
from multires_ref.tree import kept_per_level

kept = kept_per_level(3, 2, "uniform", 5)
print(
    "details kept, fine to coarse:", kept, " rings:", plan_rings(kept, K=2).length, " fading:", plan_rings((1, 1, 1), K=2).length
)
uniform = Model.init(
    NetworkConfig(1, 3, 8, 2, max_length=64, depth=3, tree_select="uniform", memory_size=5), np.random.default_rng(0)
)
stream, signal = Stream(uniform), test.x[:1]
outputs = [stream.step(signal[:, :, n]) for n in range(64)]
print("the stream ends as the network does:", np.allclose(outputs[-1], uniform(signal), atol=1e-5))
assert np.allclose(outputs[-1], uniform(signal), atol=1e-5)

# %% [markdown]
# ## Summary
#
# - A causal filter of dilation s and two taps is a **ring** of s numbers; a tree of J levels keeps 2^J - 1 numbers a channel, one less than it
#   sees. The work of a step is 2 K J + 1 multiplications a channel: it grows with J only.
# - The uniform memory needs longer rings of the same approximations, and no others.
# - `Stream` runs a network sample by sample and gives the numbers of the whole-sequence network. Its state can be saved and restored.
# - A classifier's mean over time gives an answer at every pixel. Notebook 16 draws digits with a stream.
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
# **5** (easy). How many multiplications does a step of one channel cost with K = 4 and J = 10?
#
# **6** (harder). A colleague's stream agrees with the network on the first sequence, and not on the second. What was forgotten?

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
# **5.** 2 · 4 · 10 + 1 = 81.
#
# **6.** To `reset()`: the rings still hold the end of the first sequence. Checked below.
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
assert work_by_part(NetworkConfig(1, 3, 1, 1, kernel_size=4, depth=10))["tree"] == 81
assert np.array_equal(outputs[0], outputs[2]) and not np.allclose(outputs[0], outputs[1])
