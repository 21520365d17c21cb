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
# # 2. The tree
#
# One step split a signal into what is there (a) and what changes (b). Now we take the step again, on a, and again on what comes out
# of that. Each round sees twice as far into the past. That is the whole tree of the paper (Shi, Wang and Fox,
# [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)).
#
# In the last notebook everything happened at one time scale. Here we shall see why dilation takes the place of down-sampling, how
# far the tree sees, why one pair of filters is enough for all its levels, where PyWavelets keeps the same numbers, and how to go back.

# %%
import numpy as np
import pywt
from ipywidgets import interact

from multires_ref import (
    causal_delay,
    causal_iswt,
    causal_swt,
    depth_for,
    impulse_responses,
    pyramid,
    receptive_field,
    wavelet_filters,
)
from multires_ref.plots import ecg, plot_levels, plot_tree, show

# %% [markdown]
# ## The same step, twice as wide
#
# Our eight numbers again, and the sum of every sample with the one before it:
#
# | n      | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
# |--------|---|---|---|---|---|---|---|---|
# | x[n]   | 3 | 5 | 4 | 4 | 8 | 6 | 1 | 1 |
# | a₁[n]  | 3 | 8 | 9 | 8 | 12 | 14 | 7 | 2 |
#
# a₁[7] = 2 is the sum of x[7] and x[6]. Which of its neighbours should it be added to next? Not a₁[6] = 7: that one holds x[6] too,
# and we would count it twice. The number that holds the two samples *before* is a₁[5] = 14 = x[5] + x[4]. So the second level adds
# numbers that stand **two** steps apart:
#
# $$a_2[n] = a_1[n] + a_1[n-2], \qquad a_3[n] = a_2[n] + a_2[n-4], \qquad \ldots$$
#
# a₂[7] = 2 + 14 = 16 is the sum of the last four samples, a₃[7] = 16 + a₂[3] = 16 + 16 = 32 is the sum of all eight. The filter stays
# (1, 1); only the distance of its taps doubles from level to level: 1, 2, 4, ... This distance is the **dilation**, 2^(i-1) at level
# i. Levels count from 1, the finest, to J, the coarsest.

# %%
x = np.array([3.0, 5.0, 4.0, 4.0, 8.0, 6.0, 1.0, 1.0])
h0, h1 = np.array([1.0, 1.0]), np.array([-1.0, 1.0])
(a1, b1), (a2, b2), (a3, b3) = pyramid(x, h0, h1, depth=3)
print("a2", a2, "\na3", a3)
assert a2[7] == a1[7] + a1[5] == x[4:8].sum() and a3[7] == x.sum()

# %% [markdown]
# The details do the same: b_i compares the newest of the two numbers that a_i adds with the older one.
# b₂[7] = a₁[5] - a₁[7] = 14 - 2 = 12: the last two samples are lower, by 12 together, than the two before. b₃[7] compares the last four
# with the four before.
#
# The function `pyramid` of the package is these lines and its checks. Building it from scratch takes five:


# %%
def tree_by_hand(x, h0, h1, depth):
    levels, a = [], x
    for i in range(1, depth + 1):
        late = np.concatenate((np.zeros(2 ** (i - 1)), a))[: len(a)]  # the signal, one dilation late
        a, b = h0[0] * a + h0[1] * late, h1[0] * a + h1[1] * late
        levels.append((a, b))
    return levels


# %%
for ours, theirs in zip(tree_by_hand(x, h0, h1, 3), pyramid(x, h0, h1, 3), strict=True):
    assert np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])
assert b2[7] == 12 and b3[7] == x[:4].sum() - x[4:].sum()

# %% [markdown]
# ## The picture
#
# Below is the tree under a₃[n] for filters of two taps. Circles are approximations, squares details; both of a pair are made from the
# same inputs, so a capsule holds them together. A line is a tap. The small dots are the coefficients of other times: every level has
# one pair *at every time*, and the picture shows only those that the newest a₃ rests on.

# %%
show(plot_tree(3, 2, None), "a tree of three levels over eight samples")

# %% [markdown]
# With more taps the branches overlap, and nothing else changes. (In a running notebook the next cell has two knobs, for J and K. The picture below it is
# one of their positions.)

# %% tags=["varies"]
knobs = interact(lambda depth, taps: show(plot_tree(depth, taps, None)), depth=(1, 5), taps=(2, 4))
# %%
show(plot_tree(2, 4, None), "a tree of two levels with four taps")

# %% [markdown]
# Follow a black circle in the middle upwards: there are two ways from it to a₂, through two different coefficients of level 1. A sample's weight in a₂ is the sum
# over its ways of the products of taps. With all taps 1 that is simply the number of ways: one for each sample when K = 2, up to two here.

# %%
for K in (2, 4):
    weights = impulse_responses(np.ones(K), np.ones(K), depth=2)[1][0]
    print(f"K = {K}: ways from x[n], x[n-1], ... to a_2[n]:", weights.astype(int))

# %% [markdown]
# How far does it see? One level with K taps reaches K - 1 steps back; level i reaches (K - 1) 2^(i-1) further. Together
#
# $$(K-1)(1 + 2 + 4 + \ldots + 2^{J-1}) + 1 = (K-1)(2^J-1) + 1$$
#
# samples, the newest included: the **receptive field**. It doubles with each level, so J grows with the logarithm of the length. For
# 1,024 samples and two taps ten levels are enough, for a million twenty. Turned around, `depth_for` gives the smallest depth that
# covers a length. Count the black circles at the bottom of the last picture: (4 - 1)(4 - 1) + 1 = 10.

# %%
assert receptive_field(depth=2, kernel_size=4) == 10
assert receptive_field(depth=3, kernel_size=2) == 8
assert depth_for(1024, kernel_size=2) == 10 and depth_for(10**6, kernel_size=2) == 20

# %% [markdown]
# ## Only the past
#
# A coefficient at time n is made of samples at n and before. A layer of this kind may therefore be asked to predict: it cannot peek.
# This is called *causality*, and it is easy to test: change the future, and look whether the past notices.

# %%
heart = ecg()
changed = heart.copy()
changed[600:] = 0
haar = wavelet_filters("haar")
for before, after in zip(pyramid(heart, *haar, 5), pyramid(changed, *haar, 5), strict=True):
    assert np.array_equal(before[0][:600], after[0][:600]) and np.array_equal(before[1][:600], after[1][:600])

# %% [markdown]
# ## Why not down-sample?
#
# The classical wavelet transform would, after each step, throw every second number away: nothing is lost by that, and level i has
# only L / 2^i numbers. PyWavelets' `wavedec` does so. Why does our layer not?
#
# Because it must give an answer at *every* time, and the same answer to the same past. Let us shift the signal by one sample and look
# at the second level. Down-sampled, the numbers change altogether. Kept at every time, they are the old ones, one step later.

# %%
late = np.concatenate(([0.0], heart[:-1]))
d2 = pywt.wavedec(heart, "haar", mode="zero", level=2)[1]
d2_late = pywt.wavedec(late, "haar", mode="zero", level=2)[1]
print("down-sampled: largest change", abs(d2 - d2_late).max().round(1), "of", abs(d2).max().round(1))
b2, b2_late = pyramid(heart, *haar, 2)[1][1], pyramid(late, *haar, 2)[1][1]
assert np.array_equal(b2_late[1:], b2[:-1])

# %% [markdown]
# So dilation is down-sampling without the throwing away: at level i there are 2^i interleaved down-sampled transforms, one for
# each starting point (`wavedec` keeps every 2^i-th number, so 2^i of them fit between). The price is more numbers, J pairs for each sample, and we shall pay it only on paper: the next notebook keeps
# just a few of them at each time, and the fast engines never store the others.
#
# ## One pair of filters for all levels
#
# Level 2 asks of the signal at half speed what level 1 asks of the signal itself. Is it not better to learn a pair of filters for each
# level? It costs more parameters, and the published ablation of the paper found it no better (notebook 6 measures it on the digits).
# There is a good reason to share: slow down a signal by two, and the tree with shared filters sees *the same numbers one level
# higher*. A pattern, learned at one speed, is then known at all speeds.
#
# We slow the heart down by holding each sample twice; the Haar tree then shows the old level 1 at level 2, at every second time, doubled
# since it sums twice as many samples.

# %%
slow = np.repeat(heart, 2)
fast_levels = pyramid(heart, h0, h1, 3)
slow_levels = pyramid(slow, h0, h1, 4)
for i in range(3):
    assert np.allclose(slow_levels[i + 1][1][1::2], 2 * fast_levels[i][1])

# %% [markdown]
# Shared filters also mean few numbers: 2 K for each channel, at any depth.
#
# ## Where PyWavelets keeps the same numbers
#
# Three letters change here, since PyWavelets and its literature use others: F is the number of taps (our K), j is the level (our i), and the details are
# d_j = b_j. The filters that PyWavelets calls `dec_lo` and `dec_hi` are our h0 and h1 in lag order, as they stand. With them:
#
# - **`wavedec(mode="zero")`** keeps our coefficients at every 2^j-th time, the moment when a block of 2^j samples is complete:
#   `cD_j[m] = d_j[2^j (m + 1) - 1]`.
# - **`swt`**, the *stationary* transform, keeps one at every time as we do. But it wraps around, so that the end of the signal is its
#   past, and it numbers its coefficients from another place: `cD_j[n] = d_j[n + S_j]` with S_j = (2^j - 1) F / 2 and F the number of
#   taps (in NumPy: `np.roll(d_j, -S_j)`).
#
# Where does S_j come from? We put a coefficient where its *newest* sample is. `swt` puts it in the middle: its level-1 filter is laid F/2 samples
# ahead, `cD_1[n] = sum_k h1[k] x[n + F/2 - k]`. At level i the taps stand 2^(i-1) apart, and so it is 2^(i-1) F/2 ahead of the level below. Added up over the
# levels 1 to j: (1 + 2 + ... + 2^(j-1)) F/2 = (2^j - 1) F/2.
#
# Worked for Haar (F = 2) and level 2: S = 3. PyWavelets' coefficient 0 is made of the samples 0, 1, 2, 3, in its own numbering "looking
# forward"; ours with the same four samples stands at time 3, the earliest at which a causal program can know it.
#
# To compare without the wrapping we look at the times whose receptive field lies inside the signal.

# %%
level, wavelet = 3, "db2"
ours = causal_swt(heart, wavelet, level)  # [(a_3, d_3), (a_2, d_2), (a_1, d_1)], as pywt.swt orders them
theirs = pywt.swt(heart, wavelet, level)
for j, (our_d, their_d) in zip((3, 2, 1), ((o[1], t[1]) for o, t in zip(ours, theirs, strict=True)), strict=True):
    shift, seen = (2**j - 1) * 4 // 2, receptive_field(j, 4)
    assert np.allclose(our_d[seen:], np.roll(their_d, shift)[seen:])

# %%
coefficients = pywt.wavedec(heart, wavelet, mode="zero", level=level)  # [cA_3, cD_3, cD_2, cD_1]
for j, cD in zip((3, 2, 1), coefficients[1:], strict=True):
    every = ours[level - j][1][2**j - 1 :: 2**j]
    assert np.allclose(every, cD[: len(every)])

# %% [markdown]
# ## The way back
#
# Sum and fall gave back both samples: (a - b) / 2 is the newest, (a + b) / 2 the one before. A tree is undone from the top: a_J and b_J
# give a_{J-1}, this and b_{J-1} give a_{J-2}, and so on. At each level every sample is found twice: at once, as the newest of a pair, (a[n] - b[n]) / 2,
# and one dilation later, as the older of the next, (a[n+1] + b[n+1]) / 2. They agree as long as nobody has changed the coefficients (notebook 11 does, to
# remove noise), so the inverse takes the mean of the two:
#
# $$x[n] = \tfrac14\,\bigl(a[n] - b[n] + a[n+1] + b[n+1]\bigr)$$
#
# Look at the signs: they are the taps. x[n] went into a[n] with weight 1 and into b[n] with -1, into a[n+1] with 1 and into b[n+1] with 1. **Every
# coefficient that x[n] went into gives it back with the weight with which it went in.** Four taps are undone in the same way. There x[n] stands in four
# pairs, of the times n to n + 3, and no single pair can give it at once:
#
# $$x[n] = \tfrac12 \sum_{k=0}^{F-1} \bigl(h_0[k]\,a[n+k] + h_1[k]\,b[n+k]\bigr)$$
#
# (1/2 is right for filters that are divided by √2 as PyWavelets' are, and orthogonal as Haar's and db2's. Other wavelets, such as bior2.2, use a second pair of filters
# for the way back.)

# %%
lo, hi = wavelet_filters("db2")
((a, b),) = pyramid(heart, lo, hi, 1)
n = 500
print("found", (sum(lo[k] * a[n + k] + hi[k] * b[n + k] for k in range(4)) / 2).round(9), " true", heart[n])
assert np.isclose(sum(lo[k] * a[n + k] + hi[k] * b[n + k] for k in range(4)) / 2, heart[n])

# %% [markdown]
# This needs the coefficients at n + 1, ..., n + F - 1. A program that may not look ahead must wait for them: it is **late** by F - 1 samples at level 1, by
# 2 (F - 1) at level 2, where the taps stand two apart, all in all by (2^J - 1)(F - 1). For db2 and three levels that is 7 · 3 = 21 samples.

# %%
coefficients = causal_swt(heart, "db2", 3)
back = causal_iswt(coefficients, "db2")
wait = causal_delay("db2", 3)
print("late by", wait, "samples")
assert wait == (2**3 - 1) * (4 - 1)
assert np.allclose(back[wait:], heart[:-wait], atol=1e-9) and np.allclose(back[:wait], 0, atol=1e-9)

# %% [markdown]
# Nothing was lost: the tree holds all of the signal, at each time, in all of its levels together. Here they are over the heart beat, each row to its
# own scale (at its right). Every level answers a beat at once, since its newest pair holds the newest sample. The fine ones answer briefly, the coarse ones for
# long: until the beat has left all of their samples.

# %%
show(plot_levels(heart, pyramid(heart, *haar, 6)), "six levels of the tree over an electrocardiogram")

# %% [markdown]
# ## Summary
#
# - Level i filters the approximation below it with taps 2^(i-1) apart: `a_i[n] = sum_k h0[k] a_{i-1}[n - k 2^(i-1)]`, b_i likewise.
# - J levels of K taps see (K - 1)(2^J - 1) + 1 samples, all of them past or present.
# - Not down-sampling keeps an answer at every time, the same for the same past.
# - One pair of filters serves all levels, and makes the tree speak of patterns at any speed alike.
# - `wavedec` keeps every 2^j-th of our coefficients, `swt` all of them, wrapped around and numbered from another place.
# - The causal inverse is exact and late by (2^J - 1)(F - 1) samples.
#
# ## Exercises
#
# **1** (easy). By hand: b₂[3] and b₃[7] of the eight numbers.
#
# **2** (easy). How many levels does a tree of four taps need for 2,048 samples? How far does it then see?
#
# **3** (medium). Somebody forgets the dilation (leaves it at 1), with h0 = (1, 1). Which samples does a₃ at time n then weigh more than once, and how
# often? Write down the weights.
#
# **4** (medium). At which time stands the Haar coefficient `pywt.wavedec(x, "haar", mode="zero", level=3)[1][2]` in our tree?
#
# **5** (harder). A program takes `np.roll(cD, S)` of `pywt.swt` for the causal coefficients of a signal of length 64 and is wrong at a
# few times. At which, and what does it see there? How does padding with zeros cure it?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** b₂[3] = a₁[1] - a₁[3] = 8 - 8 = 0. b₃[7] = a₂[3] - a₂[7] = 16 - 16 = 0: both halves sum to 16.
#
# **2.** Ten: 3 · (2¹⁰ - 1) + 1 = 3,070 samples. Nine would see 1,534.
#
# **3.** Three sums in a row are (1, 1) * (1, 1) * (1, 1) = (1, 3, 3, 1): x[n-1] and x[n-2] are weighed three times, and it sees four
# samples instead of eight.
#
# **4.** Coefficient m = 2 of level 3 stands at 2³ (2 + 1) - 1 = 23.
#
# **5.** At the first receptive_field - 1 times: there the past that `swt` sees is the end of the signal. Zeros after the end, at least
# (2^J - 1)(F - 1) of them (and as many as make the length divisible by 2^J), are then what it wraps into.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
(_, _), (_, b2), (_, b3) = pyramid(x, h0, h1, 3)
assert (b2[3], b3[7]) == (0, 0)
assert depth_for(2048, 4) == 10 and receptive_field(10, 4) == 3070 and receptive_field(9, 4) == 1534
three_sums = np.convolve(np.convolve([1, 1], [1, 1]), [1, 1])
assert np.array_equal(three_sums, [1, 3, 3, 1])
signal = heart[:64]
assert np.isclose(pywt.wavedec(signal, "haar", mode="zero", level=3)[1][2], pyramid(signal, *haar, 3)[2][1][23])
(_, causal), shift = causal_swt(signal, "db2", 3)[0], (2**3 - 1) * 4 // 2
wrapped = np.roll(pywt.swt(signal, "db2", 3)[0][1], shift)
wrong = np.flatnonzero(~np.isclose(causal, wrapped))
assert wrong.max() == receptive_field(3, 4) - 2 and np.allclose(causal[21:], wrapped[21:])
padded = np.concatenate((signal, np.zeros(24)))  # 21 are needed; 64 + 24 is divisible by 8
assert np.allclose(causal, np.roll(pywt.swt(padded, "db2", 3)[0][1], shift)[:64])
