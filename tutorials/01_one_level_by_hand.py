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
# # 1. One level by hand
#
# This package is about one layer for long sequences, from the paper *Sequence Modeling with Multiresolution Convolutional Memory* by Shi, Wang
# and Fox (ICML 2023, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)), which all notebooks call "the paper". Where all this goes, in one line:
#
# samples x[n] → a **tree** of sums and differences → a **memory**, a few numbers z_n picked from it → the **output** y[n], their weighted sum.
#
# The tree is an old idea, the *wavelet tree*: one small step, taken again and again on its own result. In this notebook we take that step once: on
# paper, then as a loop, then as one line of NumPy, and at the end we meet the same numbers in PyWavelets.
#
# You need to know NumPy. You need to know nothing of wavelets: the word will not matter before the last section.

# %%
import numpy as np
import pywt

from multires_ref.plots import ecg, plot_levels, show

# %% [markdown]
# ## Eight numbers
#
# Here is a signal of eight samples, arriving one after the other. You may think of it as eight readings of a thermometer.
#
# | n    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
# |------|---|---|---|---|---|---|---|---|
# | x[n] | 3 | 5 | 4 | 4 | 8 | 6 | 1 | 1 |
#
# At every time n we look at two samples, the newest and the one before it, and write down two things about them:
#
# - their **sum**, a[n] = x[n] + x[n-1]. It says how high the signal is around here. It is called the *approximation*.
# - by how much it **fell**, b[n] = x[n-1] - x[n]. It says what the sum does not: how the two differ. It is called the *detail*.
#
# At n = 1 the two samples are 5 and 3: the sum is 8, and the fall is 3 - 5 = -2 (it rose). At n = 6 they are 1 and 6: sum 7, fall 5.
# At n = 0 there is no sample before the first. We take it to be zero, here and in the whole package: *zero history*. Both numbers look at the present
# and the past only, never ahead: such a step is called **causal**.
#
# (Whether b is the fall or the rise is free: the other sign would carry the same knowledge. We take the fall, as PyWavelets does, in *all* notebooks.)
#
# Take a pencil and fill in the two missing rows before you run the next cell.
#
# | n    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
# |------|---|---|---|---|---|---|---|---|
# | a[n] | 3 | 8 | . | . | . | . | 7 | . |
# | b[n] | -3 | -2 | . | . | . | . | 5 | . |

# %%
x = np.array([3.0, 5.0, 4.0, 4.0, 8.0, 6.0, 1.0, 1.0])
a_by_hand = np.array([3.0, 8.0, 9.0, 8.0, 12.0, 14.0, 7.0, 2.0])
b_by_hand = np.array([-3.0, -2.0, 1.0, 0.0, -4.0, 2.0, 5.0, 0.0])
assert a_by_hand[6] == x[6] + x[5] and b_by_hand[6] == x[5] - x[6]

# %% [markdown]
# In the picture below the signal is at the bottom. The approximation, at the top, has the signal's shape, half a sample later and twice as high. The
# detail, in the middle, is near zero where the signal is level and large where it jumps. Each row is drawn to its own scale: the number at its right
# is the largest magnitude in it.

# %%
show(plot_levels(x, [(a_by_hand, b_by_hand)]), "the signal, its detail and its approximation over time")

# %% [markdown]
# ## Nothing is lost
#
# Two numbers went in (the newest sample and the one before), two came out. Can we go back? Add them and subtract them:
#
# - a[n] - b[n] = (x[n] + x[n-1]) - (x[n-1] - x[n]) = 2 x[n]
# - a[n] + b[n] = (x[n] + x[n-1]) + (x[n-1] - x[n]) = 2 x[n-1]
#
# At n = 6: (7 - 5) / 2 = 1, which is x[6], and (7 + 5) / 2 = 6, which is x[5]. So sum and fall are just another way to write the
# same two numbers. This will be the reason why a deep tree of such steps forgets nothing by itself: what is forgotten is what we
# choose not to keep.

# %%
assert np.array_equal((a_by_hand - b_by_hand) / 2, x)
assert np.array_equal((a_by_hand + b_by_hand)[1:] / 2, x[:-1])

# %% [markdown]
# ## The loop
#
# Sum and fall are two cases of one thing, a **filter**: a weighted sum of the newest sample and those before it. A filter with K
# weights (K *taps*) turns a signal into another one:
#
# $$\text{out}[n] = \sum_{k=0}^{K-1} h[k]\; x[n-k]$$
#
# The weight h[k] goes with the sample that is k steps old, so h[0] is the weight of the newest. We call this the *lag order* and
# never use another. The sum has h0 = (1, 1); the fall has h1 = (-1, 1). Other programs store filters the other way round, and half
# of the trouble that people have between wavelet libraries is exactly this.
#
# Here is the formula as a loop. The `if` is the zero history.


# %%
def filter_loop(x, h):
    out = np.zeros_like(x)
    for n in range(len(x)):
        for k in range(len(h)):
            if n - k >= 0:
                out[n] += h[k] * x[n - k]
    return out


# %%
h0, h1 = np.array([1.0, 1.0]), np.array([-1.0, 1.0])
assert np.array_equal(filter_loop(x, h0), a_by_hand)
assert np.array_equal(filter_loop(x, h1), b_by_hand)

# %% [markdown]
# ## The line
#
# A Python loop over time is slow. But the formula can be read in another way: out is the signal times h[0], plus *the signal one
# step late* times h[1], and so on. A loop over the few taps is left, and each step of it works on the whole signal at once.
#
# "One step late" is a shift to the right, with a zero coming in at the left:


# %%
def delay(x, steps):
    return np.concatenate((np.zeros(steps), x[: len(x) - steps]))


def filter_line(x, h):
    return sum(h[k] * delay(x, k) for k in range(len(h)))


# %%
print(delay(x, 1))
assert np.array_equal(filter_line(x, h0), a_by_hand)
assert np.array_equal(filter_line(x, h1), b_by_hand)

# %% [markdown]
# This is all that a *causal convolution* is. `np.convolve(x, h)` is the same sum; it only runs on after the end of the signal, as if zeros followed. The
# package has the loop in `definition.py`, where it is slow on purpose and every faster way is held to it by the tests, and our line in `tree.py`, as
# `dilated_conv`. Both have one more argument, the *dilation*: 1 here, and the subject of the next notebook.

# %%
from multires_ref.tree import dilated_conv

print(np.convolve(x, h1)[: len(x)])
print(dilated_conv(x, h1, dilation=1))

# %% [markdown]
# ## PyWavelets, equal
#
# The sum and the fall are a hundred years old: they are the **Haar wavelet**. PyWavelets knows it, with one change: its filters are
# divided by the square root of two.

# %%
haar = pywt.Wavelet("haar")
print("dec_lo", haar.dec_lo, "\ndec_hi", haar.dec_hi)

# %% [markdown]
# Why? With that factor the two numbers that come out have the same *energy* (sum of squares) as the two that went in:
# ((x + y)² + (x - y)²) / 2 = x² + y². At n = 6: 7² + 5² = 74 = 2 (1² + 6²).
#
# PyWavelets' classical transform `dwt` also keeps only every second pair, (x[0], x[1]), (x[2], x[3]), ..., since those already
# hold everything. Its k-th coefficient is ours at n = 2k + 1, the time when the pair is complete:

# %%
cA, cD = pywt.dwt(x, "haar", mode="zero")
a = filter_line(x, np.array(haar.dec_lo))
b = filter_line(x, np.array(haar.dec_hi))
print(cA)
assert np.allclose(cA, a[1::2]) and np.allclose(cD, b[1::2])
assert np.allclose(a, a_by_hand / np.sqrt(2)) and np.allclose(b, b_by_hand / np.sqrt(2))

# %% [markdown]
# ## A longer filter, and a real signal
#
# Nothing above needs two taps. Another wavelet, `db2`, has four. A filter like our sum, which lets what changes slowly pass and stops what changes fast, is
# called **low-pass**; one like our fall, which does the opposite, **high-pass**. db2's low-pass filter still sums (its weights add up to √2). Its
# high-pass filter still answers zero to a level signal (its weights add up to 0), and answers zero to a steadily rising one too.

# %%
db2 = pywt.Wavelet("db2")
lo, hi = np.array(db2.dec_lo), np.array(db2.dec_hi)
ramp = np.arange(20.0)
print("db2's answer to a ramp:", filter_line(ramp, hi)[3:].round(12).max())
assert np.isclose(lo.sum(), np.sqrt(2)) and np.allclose(filter_line(ramp, hi)[3:], 0)

# %% [markdown]
# Here is one step of `db2` on an electrocardiogram that comes with PyWavelets. Three beats. The detail wakes at each of them, and hears the fine
# noise of the recording in between. Look at the scales at the right: the detail's row is drawn many times larger than the signal's, so its noise, which
# looks as large as a beat, is small.

# %%
heart = ecg()
step = (filter_line(heart, lo), filter_line(heart, hi))
print(f"largest: signal {abs(heart).max():.0f}, detail {abs(step[1]).max():.0f}, approximation {abs(step[0]).max():.0f}")
show(plot_levels(heart, [step]), "an electrocardiogram, its detail and its approximation")

# %% [markdown]
# ## Summary
#
# - A filter is a weighted sum of the newest sample and those before it, weights in **lag order**; before the beginning there are zeros.
# - A **low-pass** filter h0 gives the approximation a: what is there. A **high-pass** filter h1 gives the detail b: what changes.
# - Together they lose nothing.
# - A loop over time, one line over taps, `np.convolve`, `multires_ref.tree.dilated_conv` and PyWavelets compute the same numbers.
#
# Next: what happens when the approximation is filtered again, and again: the tree.
#
# ## Exercises
#
# **1** (easy). Let x = (2, 2, 2, 6). Write down a and b of the sum and the fall, by hand.
#
# **2** (easy). Which filter h, of two taps, gives the signal itself? Which gives the signal one step late?
#
# **3** (medium). Somebody stores the fall as (1, -1), "newest sample last", and uses `filter_line`. What do they compute instead,
# and when would they notice?
#
# **4** (medium). x is 1 at time 0 and zero afterwards. What is the output of any filter h?
#
# **5** (harder). Two filters in a row, h and then g, are one filter. Which? Try h = g = (1, 1).

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** a = (2, 4, 4, 8), b = (-2, 0, 0, -4). The first values see the zero history.
#
# **2.** (1, 0) and (0, 1).
#
# **3.** They compute x[n] - x[n-1], the rise: every detail has the wrong sign. With one level they may never notice, since a
# trained weight can undo a sign. With a longer filter such as db2 they get the filter's mirror image, which is not a matter of signs.
#
# **4.** h itself, then zeros: the filter's *impulse response*. We shall use this a lot.
#
# **5.** Their convolution: (1, 1) and (1, 1) make (1, 2, 1). Check below.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
quiet = np.array([2.0, 2.0, 2.0, 6.0])
assert np.array_equal(filter_line(quiet, h0), [2, 4, 4, 8]) and np.array_equal(filter_line(quiet, h1), [-2, 0, 0, -4])
assert np.array_equal(filter_line(x, [1, 0]), x) and np.array_equal(filter_line(x, [0, 1]), delay(x, 1))
assert np.array_equal(filter_line(x, [1, -1]), -b_by_hand)
impulse = np.eye(8)[0]
assert np.array_equal(filter_line(impulse, lo), np.append(lo, np.zeros(4)))
assert np.array_equal(filter_line(filter_line(x, h0), h0), filter_line(x, [1, 2, 1]))
