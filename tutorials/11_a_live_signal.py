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
# # 11. A live signal
#
# A sensor sends one sample after the other, and we want its wavelet coefficients, and later the signal without its noise, while it does.
# PyWavelets' `swt` needs the whole signal first: it wraps around, so its newest coefficients depend on the beginning and the end. The causal tree
# of the paper (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) needs only the past. We compute it one sample at a time,
# first by hand, then with `CausalSWT`; go back with `CausalISWT`, which is late; remove noise from an electrocardiogram; and let a small classifier
# answer while samples arrive.

# %%
import numpy as np
import pywt

from multires_ref import CausalISWT, CausalSWT, causal_iswt, causal_swt
from multires_ref.plots.style import new_axes, show

# %% [markdown]
# ## Two levels by hand
#
# We take Haar's filters without their factor 1/√2, so that all numbers stay simple: sum and difference, halved.
#
# | | newest sample | one before (level 1), two before (level 2) |
# |---|---|---|
# | a | 1/2 | 1/2 |
# | d | -1/2 | 1/2 |
#
# Level 1 needs the sample before. Level 2 needs the value of a₁ two steps ago, so it keeps the last two. The signal is 4, 2, 6, 6:
#
# | n | x | a₁ = (x[n] + x[n-1]) / 2 | d₁ = (x[n-1] - x[n]) / 2 | kept of a₁ | a₂ = (a₁[n] + a₁[n-2]) / 2 | d₂ = (a₁[n-2] - a₁[n]) / 2 |
# |---|---|---|---|---|---|---|
# | 0 | 4 | 2 | -2 | 0, 0 | 1 | -1 |
# | 1 | 2 | 3 | 1 | 2, 0 | 1.5 | -1.5 |
# | 2 | 6 | 4 | -2 | 2, 3 | 3 | -1 |
# | 3 | 6 | 6 | 0 | 4, 3 | 4.5 | -1.5 |
#
# The two places for a₁ are a *ring*: a₁[n] takes the place of a₁[n-2], which was just used for the last time.


# %%
def step_by_hand(memory, n, x):
    before, ring = memory["x"], memory["a1"]
    a1, d1 = (x + before) / 2, (before - x) / 2
    a2, d2 = (a1 + ring[n % 2]) / 2, (ring[n % 2] - a1) / 2
    memory["x"], ring[n % 2] = x, a1
    return (a2, d2), (a1, d1)


# %%
x, memory = [4.0, 2.0, 6.0, 6.0], {"x": 0.0, "a1": [0.0, 0.0]}
by_hand = np.array([step_by_hand(memory, n, x_n) for n, x_n in enumerate(x)])  # [n, level, a or d]
print(by_hand[:, 0], by_hand[:, 1], sep="\n")
assert by_hand[:, 0].tolist() == [[1, -1], [1.5, -1.5], [3, -1], [4.5, -1.5]]
assert by_hand[:, 1].tolist() == [[2, -2], [3, 1], [4, -2], [6, 0]]

# %% [markdown]
# ## CausalSWT
#
# `CausalSWT` is this for any filters, levels and channels. Our own filters are given as a pair; a name such as "db4" works too. `step` takes
# one sample, `push` a chunk. Both return what `causal_swt` returns for these samples, in PyWavelets' order: the coarsest pair first.

# %%
own = ([0.5, 0.5], [-0.5, 0.5])
stream = CausalSWT(own, level=2)
first = [stream.step(x_n) for x_n in x[:2]]
rest = stream.push(np.array(x[2:]))
print(first[1], rest, sep="\n")
assert np.array_equal(np.array(first), by_hand[:2])
assert np.array_equal(np.array(rest), np.moveaxis(by_hand[2:], 0, -1))

# %% [markdown]
# Now a real signal: PyWavelets' electrocardiogram, in chunks of random lengths. The coefficients are the same as those of the whole signal, to
# the last bit, because every sum is added in the same order.

# %%
rng = np.random.default_rng(0)
ecg = pywt.data.ecg().astype("float64")
ecg -= ecg.mean()
cuts = np.sort(rng.choice(np.arange(1, 1024), 20, replace=False))
stream = CausalSWT("db4", level=5)
chunks = [stream.push(chunk) for chunk in np.split(ecg, cuts)]

# %%
whole = causal_swt(ecg, "db4", level=5, engine="tree")
for j in range(5):
    for k in range(2):
        assert np.array_equal(np.concatenate([c[j][k] for c in chunks]), whole[j][k])
print("numbers kept:", stream.ring.size, "of", 7 * (2**5 - 1))

# %% [markdown]
# The filters have F = 8 taps. Level j keeps (F - 1) 2^(j-1) values, which makes (F - 1)(2^J - 1) in all, however long the signal is.
#
# These are also PyWavelets' coefficients, moved: `cA_j[n] = a_j[n + (2^j - 1) F / 2]`, away from both ends, where `swt` wraps around.

# %%
theirs = pywt.swt(ecg, "db4", level=5)
for (a, d), (cA, cD), j in zip(whole, theirs, range(5, 0, -1), strict=True):
    shift, settled = (2**j - 1) * 8 // 2, (2**j - 1) * 7
    assert np.allclose(a[settled:], np.roll(cA, shift)[settled:]) and np.allclose(d[settled:], np.roll(cD, shift)[settled:])

# %% [markdown]
# ## State
#
# A stream can stop, be saved, and go on elsewhere. All that the past has left is the rings and the number of samples.

# %%
import tempfile

with tempfile.TemporaryDirectory() as folder:
    one, other = CausalSWT("db4", level=5), CausalSWT("db4", level=5)
    one.push(ecg[:300])
    one.save(f"{folder}/state.safetensors")
    other.load(f"{folder}/state.safetensors")
assert other.time == 300
assert np.array_equal(other.push(ecg[300:]), one.push(ecg[300:]))

# %% [markdown]
# ## The way back, and why it is late
#
# One level by hand: from a₁ and d₁, a₁[n] - d₁[n] = x[n] and a₁[n] + d₁[n] = x[n-1]. So x[n] is known at once! Why wait? Because there are
# *two* ways to know a sample: x[n] = a₁[n] - d₁[n], and one step later x[n] = a₁[n+1] + d₁[n+1]. As long as nobody has changed the coefficients
# they agree. After a threshold they do not, and their mean is the better estimate. So the inverse takes the mean of both, and is one
# sample late. With 8 taps it takes the mean over more, and is 7 late; level 2 doubles that, and so on:
#
# delay = (2^J - 1)(F - 1).

# %%
a1, d1 = by_hand[:, 1].T
at_once, later = a1 - d1, a1[1:] + d1[1:]
assert at_once.tolist() == x and later.tolist() == x[:-1]
g0, g1 = [1.0, 1.0], [1.0, -1.0]  # r[n] = (a[n] + a[n-1] + d[n] - d[n-1]) / 2: the mean of both
back = CausalISWT((*own, g0, g1), level=1)
print([float(back.step([pair])) for pair in zip(a1, d1, strict=True)], "delay", back.delay)
back.reset()
assert [float(back.step([pair])) for pair in zip(a1, d1, strict=True)] == [0.0, *x[:-1]]

# %%
forward, back = CausalSWT("db4", level=5), CausalISWT("db4", level=5)
out = np.array([back.step(forward.step(x_n)) for x_n in ecg])
print("delay", back.delay)
assert np.array_equal(out, causal_iswt(whole, "db4"))
assert np.allclose(out[back.delay :], ecg[: -back.delay], atol=1e-8)

# %% [markdown]
# ## Noise, live
#
# Noise is in all details; the signal is in a few large ones. So set the small ones to zero and shrink the others. What is small? White noise of
# standard deviation σ has σ in every detail of an orthogonal wavelet, and N of them hardly exceed σ √(2 log N), the *universal threshold*. σ is
# estimated from the median of |d₁|, which the few large details hardly move. We let the first 256 samples decide.

# %%
from multires_ref import LiveDenoiser, universal_threshold

noisy = ecg + 25 * rng.standard_normal(len(ecg))
threshold = universal_threshold(noisy[:256], "sym4")
sigma = threshold / np.sqrt(2 * np.log(256))
print(f"estimated standard deviation of the noise {sigma:.1f}, threshold {threshold:.0f}")
assert 20 < sigma < 30

# %%
denoiser = LiveDenoiser("sym4", 4, threshold)
live = np.array([denoiser.step(x_n) for x_n in noisy])
late = denoiser.delay
print("delay", late, "samples")

# %% [markdown]
# Offline, with PyWavelets, the recipe is `swt`, `threshold`, `iswt`. It has all samples, the later ones too. What does the live one lose?

# %% tags=["varies"]
shrunk = [(a, pywt.threshold(d, threshold)) for a, d in pywt.swt(noisy, "sym4", level=4)]
offline = pywt.iswt(shrunk, "sym4")
print("largest difference, away from the ends:", f"{abs(live[2 * late :] - offline[late:-late]).max():.0e}")
assert np.allclose(live[2 * late :], offline[late:-late])

# %% [markdown]
# Nothing but time: the numbers are the same, `delay` samples later. (Within a delay of the ends `swt` wraps around, and ours sees zeros before
# the beginning.)

# %%
from multires_ref.plots.live import plot_live

show(plot_live(noisy, live, offline, late, ecg), "a noisy electrocardiogram, the live result, and the offline one")

# %% [markdown]
# The delay is a choice. With fewer levels the result is earlier, and the coarse part of the noise stays in. With too many, the threshold also
# shrinks coarse details that belong to the heartbeat. Here is the error for 1 to 5 levels, by their delays:

# %%
errors = {}
for J in range(1, 6):
    tried = LiveDenoiser("sym4", J, threshold)
    y = tried.push(noisy)
    errors[tried.delay] = float(np.sqrt(np.mean((y[tried.delay :] - ecg[: -tried.delay])[250:] ** 2)))
print({delay: round(error, 1) for delay, error in errors.items()})
best = min(errors, key=errors.get)
assert 7 < best < 217 and errors[best] < 0.75 * errors[7]

# %%
ax = new_axes(9, 3)
ax.plot(list(errors), list(errors.values()), "o-")
ax.set(xlabel="delay (samples), for 1 to 5 levels", ylabel="RMS error (raw units)", ylim=(0, None))
ax.grid()
show(ax, "the error of the denoised signal against the delay")

# %% [markdown]
# ## A classifier that answers while samples arrive
#
# Last, a network. The signals are noise, in which a slow or a fast wave begins; which of the two is it? We train a small classifier on whole
# signals, a network alone (`features=False`: nothing beside it, as notebook 13 explains), and then feed it sample by sample with `Stream`, whose
# layers keep rings like ours.

# %%
from multires_ref import MultiresClassifier
from multires_ref.network.streaming import Stream


def waves(rng, n, length=64):
    fast = rng.integers(0, 2, n)
    time = np.arange(length) + rng.uniform(0, 20, (n, 1))
    wave = np.sin(time * np.where(fast, 0.9, 0.3)[:, None]) * (np.arange(length) > 15)
    return (wave + 0.5 * rng.standard_normal((n, length))).astype("float32"), np.where(fast, "fast", "slow")


# %%
X, y = waves(rng, 160)
classifier = MultiresClassifier(d_model=16, n_layers=2, max_epochs=12, features=False, augment=False, random_state=0).fit(X, y)
X_test, y_test = waves(rng, 100)
right = (classifier.predict(X_test) == y_test).mean()
print("more than 85 % of new signals are right:", bool(right > 0.85))
assert right > 0.85

# %% [markdown]
# The classifier subtracts a mean and divides by a standard deviation that it has learned; a stream gets the network alone, so we do that for
# each sample. After every sample the output is a vector of one number per class; softmax makes probabilities of it.

# %%
from scipy.special import softmax

stream = Stream(classifier.model_, batch=len(X_test))
standard = ((X_test - classifier.mean_) / classifier.scale_).astype("float32")
beliefs = np.stack([softmax(stream.step(standard[:, n, None]), axis=1) for n in range(64)], axis=1)  # [N, time, class]
assert np.allclose(beliefs[:, -1], classifier.predict_proba(X_test), atol=1e-4)

# %%
from multires_ref.plots.style import CYCLE, new_figure

chosen = [int(np.argmax(y_test == label)) for label in ("fast", "slow")]
figure, axes = new_figure(9, 5, rows=2, columns=2, sharex=True)
for (left, right_ax), i in zip(axes, chosen, strict=True):
    left.plot(X_test[i], color="black", lw=1.2)
    left.set(title=f"a {y_test[i]} wave", ylabel="x[n]")
    for c, label in enumerate(classifier.classes_):
        right_ax.plot(beliefs[i, :, c], ["-", "--"][c], color=CYCLE[c], label=f"probability of {label}")
    right_ax.legend(loc="lower left", frameon=False)
    right_ax.set(ylabel="probability", ylim=(-0.35, 1.05))
for ax in axes[-1]:
    ax.set_xlabel("time n (samples)")
show(figure, "a fast and a slow wave in noise, and the probabilities of both classes as their samples arrive")

# %% [markdown]
# How soon is it right, on the whole? The waves begin at n = 16.

# %%
share = (classifier.classes_[beliefs.argmax(axis=2)] == y_test[:, None]).mean(axis=0)
ax = new_axes(9, 3)
ax.plot(share)
ax.axvline(16, color="grey", ls="--", label="the waves begin")
ax.set(xlabel="time n (samples)", ylabel="share of the signals right", ylim=(0, 1.02))
ax.legend(loc="lower right", frameon=False)
assert share[:16].mean() < 0.7 < share[-1]
show(ax, "the share of signals that are classified rightly, against the number of samples seen")

# %% [markdown]
# ## Summary
#
# - Each level keeps (F - 1) 2^(j-1) values in a ring: (F - 1)(2^J - 1) numbers a channel, for a signal of any length.
# - `CausalSWT` gives the numbers of `causal_swt` bit for bit, by samples and chunks; its state can be saved, restored and reset.
# - The inverse is (2^J - 1)(F - 1) samples late, because it takes the mean of all the ways to know a sample.
# - Denoised live is denoised offline, later: nothing but time is lost.
#
# ## Exercises
#
# **1** (easy). Go on with the table by hand: x[4] = 2. What are a₁, d₁, a₂ and d₂?
#
# **2** (easy). How many numbers does a stream of three channels keep with "sym4" (8 taps) and 4 levels, and how late is its inverse?
#
# **3** (medium). Hard thresholding keeps a large detail as it is. Which threshold makes the live denoiser return the signal itself, delayed, in
# either mode?
#
# **4** (medium). An electrocardiogram arrives at 360 samples a second. How many levels of "haar" may be used, if the result must not be more than
# 50 ms late?
#
# **5** (harder). Feed a stream 100 samples, save its state, feed it NaN, and restore. Does the NaN come back? And what happens if you do not restore:
# after how many samples are all coefficients finite again?
#
# <details><summary>Solutions</summary>
#
# **1.** a₁ = (2 + 6) / 2 = 4 and d₁ = (6 - 2) / 2 = 2. The ring holds a₁[2] = 4, so a₂ = (4 + 4) / 2 = 4 and d₂ = (4 - 4) / 2 = 0.
#
# **2.** 3 · 7 · 15 = 315 numbers; 15 · 7 = 105 samples.
#
# **3.** Zero: no detail is smaller than zero, and shrinking by zero changes nothing.
#
# **4.** 50 ms are 18 samples; (2^J - 1) · 1 ≤ 18 gives J = 4, 15 samples.
#
# **5.** It does not come back: the state is a copy of the rings. Without restoring, the NaN is seen by the coarsest level for
# (F - 1)(2^J - 1) further samples, and then it is forgotten: no ring holds it any more.
#
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
stream = CausalSWT(own, level=2)
assert [float(c) for pair in [stream.step(v) for v in [*x, 2.0]][-1] for c in pair] == [4, 0, 4, 2]
three = CausalSWT("sym4", 4, shape=(3,))
assert (three.ring.size, CausalISWT("sym4", 4, shape=(3,)).delay) == (315, 105)
for mode in ("soft", "hard"):
    nothing = LiveDenoiser("haar", 2, 0.0, mode=mode)
    assert np.allclose(nothing.push(ecg)[nothing.delay :], ecg[: -nothing.delay])
assert CausalISWT("haar", 4).delay <= 0.050 * 360 < CausalISWT("haar", 5).delay
stream = CausalSWT("db2", level=3)
stream.push(ecg[:100])
state = stream.state()
stream.step(np.nan)
finite = [all(np.isfinite(c).all() for pair in stream.step(v) for c in pair) for v in ecg[101:150]]
assert finite.index(True) == 3 * (2**3 - 1)
stream.restore(state)
assert np.array_equal(stream.push(ecg[100:])[0][0], causal_swt(ecg, "db2", 3, engine="tree")[0][0][100:])
