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
# # 4. What each scale listens to
#
# The tree is linear, causal, and does the same at every time. Such a thing is known completely by its answer to one click: a single 1,
# then silence. From that answer we read off what every level hears, first over time, then over pitch; and we find the one long filter
# that a whole layer of the paper (Shi, Wang and Fox, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) is equal to.

# %%
import numpy as np
from ipywidgets import interact

from multires_ref import equivalent_kernel, frequency_responses, impulse_responses, multires_conv, pyramid, wavelet_filters
from multires_ref.filters import energy_centre
from multires_ref.plots import ecg, new_figure, plot_frequency_responses, plot_impulse_responses, show
from multires_ref.plots.gallery import filters_figure, kernel_figure, responses_figure

# %% [markdown]
# ## One click
#
# Feed the sum-and-fall tree a 1 at time 0 and zeros afterwards, and write down what each level says, by hand:
#
# | time    | 0 | 1 | 2 | 3 | 4 |
# |---------|---|---|---|---|---|
# | x       | 1 | 0 | 0 | 0 | 0 |
# | a₁[n] = x[n] + x[n-1]     | 1 | 1 | 0 | 0 | 0 |
# | b₁[n] = x[n-1] - x[n]     | -1 | 1 | 0 | 0 | 0 |
# | a₂[n] = a₁[n] + a₁[n-2]   | 1 | 1 | 1 | 1 | 0 |
# | b₂[n] = a₁[n-2] - a₁[n]   | -1 | -1 | 1 | 1 | 0 |
#
# So a₂ is the sum of the last four samples, and b₂ compares the last two with the two before: we knew that. Entry t of an **impulse
# response** is the weight which the coefficient gives to the sample t steps ago. The lengths are the receptive fields of the levels.

# %%
h0, h1 = np.array([1.0, 1.0]), np.array([-1.0, 1.0])
(g1, d1), (g2, d2) = impulse_responses(h0, h1, depth=2)
print(g1, d1, g2, d2)
assert np.array_equal(g2, [1, 1, 1, 1]) and np.array_equal(d2, [-1, -1, 1, 1])

# %% [markdown]
# And since everything is linear, the coefficient for *any* signal is its response laid over the past: a convolution with it. The tree
# is a bank of ordinary filters that share their work.

# %%
heart, haar = ecg(), wavelet_filters("haar")
for (a, b), (g, d) in zip(pyramid(heart, *haar, 6), impulse_responses(*haar, 6), strict=True):
    assert np.allclose(a, np.convolve(heart, g)[: len(heart)])
    assert np.allclose(b, np.convolve(heart, d)[: len(heart)])

# %% [markdown]
# ## Pitch
#
# How loud does a filter answer to a pure tone? A tone of f cycles per sample is written exp(2πi f n): a point that goes round the unit circle, f turns each
# sample. (Its real part is the cosine that one hears.) With f = 1/4 it is at 1, i, -1, -i, 1, ... Put two samples of it into the sum: at n = 0 the newest is 1 and
# the one before was -i, so out comes 1 - i; at n = 1 it is i + 1, which is i times as much. So the answer turns with the tone, and is the tone multiplied by
# 1 - i, a number of length √2. In general: put the tone in, and out comes the same tone, multiplied by
#
# $$H(f) = \sum_k h[k]\, e^{-2\pi i f k}$$
#
# whose magnitude is the **gain**. Two tones can be done by hand. The slowest, f = 0, is a constant: H(0) = h[0] + h[1] + ..., which is 2
# for the sum and 0 for the fall. The fastest a sampled signal can hold, f = 1/2, is the alternation 1, -1, 1, -1: H(1/2) = h[0] - h[1] + ...,
# which is 0 for the sum and 2 in size for the fall. In between, at f = 1/4 (1, 0, -1, 0), both gains are √2. Hence the names, low-pass and
# high-pass.

# %%
f, ((A1, B1),) = frequency_responses(h0, h1, depth=1, frequencies=np.array([0, 1 / 4, 1 / 2]))
print(abs(A1).round(3), abs(B1).round(3))
assert np.allclose(abs(A1), [2, 2**0.5, 0]) and np.allclose(abs(B1), [0, 2**0.5, 2])
tone = np.cos(2 * np.pi * np.arange(100) / 4)
assert np.isclose(abs(pyramid(tone, h0, h1, 1)[0][0][1:]).max(), 1) and np.isclose(np.hypot(1, 1), abs(A1[1]))

# %% [markdown]
# (The tone cos(πn/2) sampled at 1, 0, -1, 0 has amplitude 1; the sum of neighbours is 1, -1, -1, 1, an amplitude of √2 seen 45 degrees
# off its peaks.) Here are four pairs of filters, their taps above, their gains below. ("Minimum delay" is db4 with its low-pass filter the other way round in
# time; what that is for comes further down. The gains do not change.)

# %%
show(filters_figure(), "four pairs of filters in time and in frequency")

# %% [markdown]
# ## One octave each
#
# Level i's filters have their taps 2^(i-1) apart, and a filter with stretched taps hears stretched pitch: its gain at f is the old one at
# 2^(i-1) f. Passing through several levels multiplies. So, with no further ado,
#
# $$A_i(f) = H_0(f)\,H_0(2f)\cdots H_0(2^{i-1}f), \qquad B_i(f) = A_{i-1}(f)\,H_1(2^{i-1}f).$$
#
# By hand for sum and fall at f = 1/4: A₁ has gain √2, and level 2's high-pass sees the tone as one of pitch 1/2, where its gain is 2. So b₂ answers
# with 2√2. At f = 1/2 it is deaf, since A₁ is: level 1 has taken that for itself.

# %%
_, pairs = frequency_responses(h0, h1, depth=2, frequencies=np.array([1 / 4, 1 / 2]))
assert np.allclose(abs(pairs[1][1]), [2 * 2**0.5, 0])
spectrum = np.fft.rfft(impulse_responses(*haar, 6)[-1][1], 256)  # the same from the impulse response
_, pairs = frequency_responses(*haar, 6, frequencies=np.arange(129) / 256)
assert np.allclose(spectrum, pairs[-1][1])

# %% [markdown]
# So each level hears one octave, half as high as the octave of the level before:
#
# > **Level i hears from 2^-(i+1) to 2^-i cycles per sample. A tone of period P samples is heard best by the level i with 2^i ≤ P ≤ 2^(i+1).**
#
# A worked tone: 20 Hz in a recording of 360 samples a second. Its period is 360 / 20 = 18 samples, and 16 ≤ 18 ≤ 32: level 4. (Or: 20 / 360 = 0.056 cycles per sample
# lies between 1/32 and 1/16.)
#
# One thing must be known before levels can be compared: **gains grow by √2 a level.** A low-pass filter of PyWavelets has taps that sum to √2, so a constant comes out of a_i
# with gain 2^(i/2), and the details grow alike. (Sum and fall, without the factor 1/√2, grow by 2 a level: hence the 2√2 above.) To compare levels fairly one divides
# b_i by 2^(i/2). That is done here and in all pictures of this notebook.

# %%
tone = np.sin(2 * np.pi * 20 / 360 * np.arange(2000))
levels = pyramid(tone, *wavelet_filters("db4"), 6)
heard = [float(abs(b[1000:]).max() / 2 ** (i / 2)) for i, (_, b) in enumerate(levels, start=1)]
print("amplitude of b_1 ... b_6, divided by the growth:", np.round(heard, 2))
assert int(np.argmax(heard)) + 1 == 4

# %% [markdown]
# In the pictures gains are printed in **decibels**, dB: 20 log10 of the ratio to the loudest. 0 dB is the loudest itself, -6 dB is half of it, -20 dB a tenth.
#
# On a logarithmic axis, on which every octave is as wide as the next, the details stand side by side, one octave to each level, and a_J takes
# what is left below. The picture has the impulse responses at the left (each row to its own scale), lags in octaves too. Both say the same: **twice as long,
# twice as low**.

# %%
show(responses_figure(), "impulse and frequency responses of each scale for haar, db4 and random filters")

# %% [markdown]
# Look at the rows. Haar's two taps make sharp edges in time and poor separation in pitch: b₁ still hears a lot of what belongs to b₂. `db4`
# has eight taps and separates cleanly. Random filters, with which a network begins unless a wavelet is given, have no such order, but the
# dilation alone already gives each level something of its own: level i hears through the gain of h1 squeezed by 2^(i-1), an octave lower
# for each level. What training makes of it is in notebook 6.
#
# Where is each level loudest? For db4 the peaks step down an octave at a time, from level 2 on. (Level 1 is left out of the ratios: nothing cuts its octave off
# above, so it is loudest at the end of the axis, f = 1/2, and not somewhere within its octave as the others.)

# %%
db4 = wavelet_filters("db4", order="minimum_delay")
f = np.linspace(0.001, 0.5, 5000)
_, pairs = frequency_responses(*db4, 6, frequencies=f)
peaks = [f[abs(B).argmax()] for _, B in pairs]
print(
    "level 1:",
    round(peaks[0], 1),
    "levels 2 to 6:",
    np.round(peaks[1:], 4),
    "ratios:",
    np.round(np.divide(peaks[1:-1], peaks[2:]), 2),
)
assert np.allclose(np.divide(peaks[1:-1], peaks[2:]), 2, atol=0.15)

# %% [markdown]
# Other wavelets: sym5 and bior2.2 here; in a running notebook the cell after it has knobs for the wavelet and the depth.

# %%
figure, axes = new_figure(9, 5.6, rows=2, sharex=True)
for (ax,), name in zip(axes, ("sym5", "bior2.2"), strict=True):
    plot_frequency_responses(*wavelet_filters(name), 6, ax, title=name)
axes[0, 0].set_xlabel("")
show(figure, "gain of each scale of sym5 and of bior2.2")

# %% tags=["varies"]
names = ["haar", "db2", "db4", "sym5", "coif2", "bior2.2"]
knobs = interact(lambda name, depth: show(plot_frequency_responses(*wavelet_filters(name), depth)), name=names, depth=(1, 8))

# %% [markdown]
# ## Early and late: the phase
#
# The gain does not say *when*. The filter (1, 0) and the filter (0, 1) have the same gain, 1 at every pitch, and the second is a sample late.
# Longer filters have the same freedom: reversing the order of the taps leaves every gain as it was, and moves the weight from early to late.
#
# Of all filters with the same gain, the one whose energy comes earliest is called *minimum phase*, the latest *maximum phase*. Where the
# energy of a filter sits is easily measured, the mean lag weighed by h[k]². For the filter (0, 3, 1): (1 · 9 + 2 · 1) / 10 = 1.1.

# %%
assert np.isclose(energy_centre(np.array([0.0, 3.0, 1.0])), 1.1)
for name in ("haar", "db4", "db8", "sym8"):
    late, early = wavelet_filters(name)[0], wavelet_filters(name, order="minimum_delay")[0]
    print(f"{name}: {len(late)} taps, energy at lag {energy_centre(late):.2f}, reversed {energy_centre(early):.2f}")
    assert energy_centre(early) <= energy_centre(late)

# %% [markdown]
# PyWavelets' `dec_lo` for the Daubechies wavelets is the *late* one (db8: at lag 12.4 of 0 ... 15), and its partner `dec_hi`, which is the
# reverse of it up to signs, is early. It does not matter to someone who has the whole recording. It matters to us: low-pass filters
# stand between every coarse level and the signal, and level i delays by about its filter's lag times 2^(i-1).
# `filter_order="reversed"` in the network's config turns both filters round; `"minimum_delay"` turns round only the one that is late. What is
# won, what lost? When does each coefficient answer a click:

# %%
for order in ("analysis", "reversed", "minimum_delay"):
    levels = impulse_responses(*wavelet_filters("db8", order), 5)
    details, a5 = [round(energy_centre(d)) for _, d in levels], round(energy_centre(levels[-1][0]))
    print(f"{order:14} b_1 ... b_5 after {details} samples, a_5 after {a5}")

# %% [markdown]
# Reversed, the approximation, the trend, is known hundreds of samples earlier. But each detail comes some ten samples later than before, at
# every level, since there the low-pass filters' gain meets a high-pass filter that has become late. Turned round one by one, both filters
# are early, and so is every coefficient. The gains are the same in all three; a network that learns its filters can leave any of them.
#
# So why is `minimum_delay` not the default? Because turning round *one* of the two breaks the pair. db8's filters fit together: h0 and h1, laid over each other at any even
# distance, have inner product 0 (they are *orthogonal*), and that is what lets `dwt` and `wavedec` throw every second number away and still go back.
# (1, 1) reversed is (1, 1), so for Haar nothing is lost. For db8 something is:


# %%
def inner_products(h0, h1):
    K = len(h0)
    return [float(np.sum(h0[s:] * h1[: K - s])) for s in range(0, K, 2)] + [
        float(np.sum(h1[s:] * h0[: K - s])) for s in range(2, K, 2)
    ]


for order in ("analysis", "reversed", "minimum_delay"):
    print(f"{order:14} largest inner product of h0 and h1: {max(map(abs, inner_products(*wavelet_filters('db8', order)))):.2f}")

# %% [markdown]
# So with `minimum_delay` the coefficients are no longer those of PyWavelets' db8: they cannot be compared with `wavedec` and `swt` number by number, and every
# second of them is no longer enough to go back. What the *layer* needs is kept: it has a coefficient at every time, and then only the gains count. The default is
# what PyWavelets has, so that numbers can be compared.

# %%
show(plot_impulse_responses(*wavelet_filters("db8"), 5, title="db8 as PyWavelets has it: late"), "impulse responses, late")

# %%
show(
    plot_impulse_responses(*wavelet_filters("db8", "minimum_delay"), 5, title="db8, each filter the early way round"),
    "impulse responses, early",
)

# %% [markdown]
# Compare the rows of the two: b₁ is the same in both, for PyWavelets' high-pass filter of db8 is early already; every other comes earlier.
#
# ## The layer is one long filter
#
# The layer's output is a weighted sum of the memory and the newest sample, y[n] = Σ w[r] z_n[r] + w_skip x[n]. Every row of the memory is a filter
# of the past. A weighted sum of filters is a filter. So the whole layer is **one causal filter**, as long as the receptive field.
#
# By hand: sum-and-fall, two levels, w = (1, 1, 2) for (a₂, b₂, b₁), w_skip = 5. The responses are a₂: (1, 1, 1, 1), b₂: (-1, -1, 1, 1), b₁: (-1, 1, 0, 0),
# and the skip's is (1, 0, 0, 0). Added up with their weights: (1 - 1 - 2 + 5, 1 - 1 + 2, 1 + 1, 1 + 1) = (3, 2, 2, 2).

# %%
w, w_skip = np.array([[1.0, 1.0, 2.0]]), np.array([5.0])  # one channel
kernel = equivalent_kernel(h0[None], h1[None], w, w_skip)
print(kernel)
assert np.array_equal(kernel, [[3, 2, 2, 2]])
x = heart[None, None]  # batch 1, channel 1
y = multires_conv(x, h0[None], h1[None], w, w_skip)
assert np.allclose(y[0, 0], np.convolve(heart, kernel[0])[:1024])

# %% [markdown]
# Why then all the trouble with a tree? For the numbers. A free filter over 1,024 samples has 1,024 weights in every channel; the layer makes one
# from 2 K + m + 1: two filters of K taps, m weights, one skip weight. For K = 2 and ten levels that is 4 + 11 + 1 = 16. It is a filter with fine detail near the present and broad strokes further back,
# drawn here for db4 with random weights. The kernel stands at the top; the rows below add up to it. All rows
# have one scale, so the tall ones are those that matter at a lag.

# %%
show(kernel_figure(), "the equivalent kernel of a layer and the scales it is the sum of")

# %% [markdown]
# ## Summary
#
# - A coefficient is the past weighed by the level's **impulse response**, which is as long as its receptive field.
# - Over frequency the levels multiply: `A_i(f) = H0(f) H0(2f) ... H0(2^(i-1) f)`. Level i hears the octave from 2^-(i+1) to 2^-i, and gains grow by √2 a level.
# - The same gain can come early or late. For a causal tree the order of a wavelet's taps decides how late the trend is, and how late the details.
# - A layer equals **one long causal filter** made of few numbers.
#
# ## Exercises
#
# **1** (easy). Write down the impulse response of b₃ for sum and fall.
#
# **2** (easy). What are the gains of the filter (1, 2, 1) at f = 0 and at f = 1/2?
#
# **3** (medium). A tone has 50 Hz, the recording 400 samples a second. Which level of a clean wavelet hears it best?
#
# **4** (medium). Find weights w and w_skip for the sum-and-fall layer of two levels such that y[n] = x[n-3].
#
# **5** (harder). How many different filters of four samples can that layer make? Which samples' weights can it not choose freely?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** (-1, -1, -1, -1, 1, 1, 1, 1).
#
# **2.** 4 and 0: 1 + 2 + 1 and 1 - 2 + 1.
#
# **3.** 50 / 400 = 1/8 cycles per sample. By the octave rule 1/8 is the border of levels 2 (1/8 to 1/4) and 3 (1/16 to 1/8).
# Both hear it.
#
# **4.** There are none. See 5.
#
# **5.** The weights of lags 2 and 3 are always equal, since all four responses have equal entries there. So three numbers can be chosen freely, not four, and the four responses
# depend on each other: a₂ - b₂ - 2 b₁ - 4 skip = 0. With the skip the layer has one weight too many: many sets of weights make the same filter. (Notebook 14 meets
# this again, where a decision is split among these four.)
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
assert np.array_equal(impulse_responses(h0, h1, 3)[2][1], [-1, -1, -1, -1, 1, 1, 1, 1])
_, ((A, _),) = frequency_responses(np.array([1.0, 2.0, 1.0]), np.ones(3), 1, np.array([0, 0.5]))
assert np.allclose(abs(A), [4, 0])
_, pairs = frequency_responses(*db4, 6, frequencies=np.array([1 / 8]))
loud = [float(abs(B[0])) / 2 ** (i / 2) for i, (_, B) in enumerate(pairs, start=1)]
assert set(np.argsort(loud)[-2:] + 1) == {2, 3}
basis = np.array([[1, 1, 1, 1], [-1, -1, 1, 1], [-1, 1, 0, 0], [1, 0, 0, 0]])
assert not (np.array([1, -1, -2, -4]) @ basis).any()
assert np.linalg.matrix_rank(basis) == 3 and np.array_equal(basis[:, 2], basis[:, 3])
assert not np.allclose(basis.T @ np.linalg.lstsq(basis.T, np.eye(4)[3], rcond=None)[0], np.eye(4)[3])
