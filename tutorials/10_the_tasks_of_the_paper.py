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
# # 10. The tasks of the paper
#
# The paper (Shi, Wang and Fox, ICML 2023, [arXiv 2305.01638](https://arxiv.org/abs/2305.01638)) measures its network on four kinds of sequences:
# nested expressions, electrocardiograms, images read pixel by pixel, and the density of images. This notebook looks at each of them by example:
# what one sequence is, why it is long, what is asked, and how the answer is scored. At the end stand the published numbers, and beside them,
# plainly, what has been reproduced here and what has not.
#
# Of the data sets only ListOps can be made on the spot, since it is generated. CIFAR-10 and PTB-XL are not part of this repository;
# where they are needed, we show the form with something that *is* here, and say so.

# %%
import numpy as np

from multires_ref import Model
from multires_ref.plots.style import new_axes, new_figure, show
from multires_ref.tasks import TASKS, get_task
from multires_ref.tasks.listops import TOKENS, encode
from multires_ref.tasks.listops_data import Limits, evaluate, generate

# %% [markdown]
# ## ListOps: an expression, evaluated by hand
#
# An expression is a digit, or an operator with arguments: MIN, MAX, MED (the median, rounded down) and SM (the sum modulo 10).
# The answer is always one digit.
#
#     [MAX 4 3 [MIN 2 3 ] 1 0 ]
#
# From the inside out: the MIN of 2 and 3 is 2. So the outer list is 4, 3, 2, 1, 0, and its MAX is 4. One more, with all of it:
#
#     [SM 9 [MED 7 1 [MAX 3 8 ] 2 ] 5 ]
#
# MAX of 3 and 8 is 8. MED of 7, 1, 8, 2: in order 1, 2, 7, 8, the middle two are 2 and 7, their mean 4.5, rounded down 4. SM of 9, 4, 5 is
# 18 modulo 10, that is 8.

# %%
by_hand = {"[MAX 4 3 [MIN 2 3 ] 1 0 ]": 4, "[SM 9 [MED 7 1 [MAX 3 8 ] 2 ] 5 ]": 8}
for source, value in by_hand.items():
    assert evaluate(source) == value

# %% [markdown]
# The network does not see text but numbers: each token has a place in a table, closing brackets are written X, and an end is appended. The
# encoder of this network is a table too, with a row of D numbers a token.

# %%
tokens = encode("[MAX 4 3 [MIN 2 3 ] 1 0 ]")
print(tokens.tolist())
print([TOKENS[n] for n in tokens])
assert len(tokens) == 10 + 1 and TOKENS[tokens[-1]] == "<eos>"
assert [TOKENS[n] for n in tokens].count("X") == 2

# %% [markdown]
# ## Why it is long, and why it is hard
#
# The paper's expressions have 500 to 2,000 tokens. Let us make some (the whole set, 100,000 of them, is `multires-ref data listops`), and look at
# one by its *nesting depth*: how many brackets are open at each token.

# %%
examples = generate(400, seed=1)
source, value = examples[0]
codes = encode(source)
print("it begins:", " ".join(TOKENS[c] for c in codes[:30]), "...\n", len(codes), "tokens, value", value)
assert evaluate(source) == value and all(500 < len(encode(s)) - 1 < 2000 for s, _ in examples)


# %%
def nesting(codes):
    opens, closes = np.isin(codes, [TOKENS.index(name) for name in TOKENS if name[0] == "["]), codes == TOKENS.index("X")
    return np.cumsum(opens.astype(int) - closes)


# %%
ax = new_axes(9, 2.6)
ax.step(range(len(codes)), nesting(codes), where="post", lw=1)
ax.set(xlabel="token n", ylabel="open brackets")
assert nesting(codes)[-1] == 0 and nesting(codes).max() < Limits().max_depth
show(ax, "how many brackets are open at each token of a long expression")

# %% [markdown]
# To close a bracket the network must know which operator was opened, perhaps a thousand tokens ago, and what has come of its arguments so far. How
# far apart are a bracket and its partner? Over all our expressions:


# %%
def spans(codes):
    depth, opened, found = nesting(codes), {}, []
    for n, level in enumerate(depth):
        if TOKENS[codes[n]][0] == "[":
            opened[level] = n
        elif TOKENS[codes[n]] == "X":
            found.append(n - opened[level + 1])
    return found


# %%
found = np.concatenate([spans(encode(s)) for s, _ in examples])
print("our first expression:", spans(tokens), "(its MIN, and the whole)")
octaves = np.histogram(found, bins=2.0 ** np.arange(1, 12))[0]
names = [f"{2**n} to {2 ** (n + 1) - 1}" for n in range(1, 11)]
ax = new_axes(9, 3.2)
ax.bar(names, octaves, color="#0072B2")
for place, count in enumerate(octaves):
    ax.text(place, count, f"{count:,}", ha="center", va="bottom", fontsize=9)
ax.tick_params(axis="x", rotation=20)
ax.set(xlabel="tokens from an opening bracket to its partner", ylabel="brackets")
show(ax, "how many brackets have their partner at which distance, octave by octave")

# %% [markdown]
# Most partners are near: a list of at most ten arguments without lists in it is closed after 3 to 11 tokens, and such flat lists are the commonest.
# And still no octave is empty, up to more than a thousand tokens. There is no one distance at which to look.
#
# ## How could a stack of filters evaluate this?
#
# A layer does not search for a bracket: it weighs the past by age, always in the same way. Two things it can do help.
#
# **It can count.** Write +1 for an opening bracket, -1 for a closing one, 0 for all else, and sum over the whole past: that is the nesting depth.
# And a sum over the whole past is the approximation a_J of the sum-and-fall tree, once 2^J is at least the length. So one channel of one layer
# knows at every token how deep it is:

# %%
from multires_ref import pyramid

steps = np.array([TOKENS[c][0] == "[" for c in codes], float) - (codes == TOKENS.index("X"))
depth = pyramid(steps, np.array([1.0, 1.0]), np.array([-1.0, 1.0]), depth=11)[-1][0]
print("a_11 is the nesting depth:", np.array_equal(depth, nesting(codes)))
assert np.array_equal(depth, nesting(codes))

# %% [markdown]
# **With a bend it can answer "is there a 9?"** One channel for each digit holds 1 where the digit is. Its sum over a list is how often the digit
# occurred, and GELU and gate can turn "more than 0" into yes. The MAX of a flat list is the largest digit that has a yes. By hand for [MAX 4 3 2 1
# 0 ]: yes for 0 to 4, no above, so 4.

# %%
flat = encode("[MAX 4 3 2 1 0 ]")
seen = np.array([(flat == TOKENS.index(str(d))).sum() > 0 for d in range(10)])
print("digits seen:", np.flatnonzero(seen), " the largest:", np.flatnonzero(seen).max())

# %% [markdown]
# In a nested expression, the digits of the *inner* lists must not be counted for the outer one, and their results must be. The depth channel can
# gate the first away, and the next block may do for the results what this one did for digits: so each block could resolve one depth of nesting,
# innermost first. That is a way in which such a network *could* work, and that its memory spans all octaves is needed for it. Whether a trained one
# does so is not shown here, nor in the paper.

# %% [markdown]
# What does one get *without* understanding? Say the commonest answer: no digit is much commoner than the others. But the first token already tells a
# lot: the MAX of many digits is mostly 9, the MIN mostly 0. Let us fit the rule "look at the first operator, say its commonest value" on
# one half and test it on the other.

# %%
first = np.array([encode(s)[0] for s, _ in examples])
values = np.array([v for _, v in examples])
fit, held = slice(0, 200), slice(200, 400)
rule = {c: np.bincount(values[fit][first[fit] == c]).argmax() for c in np.unique(first)}
guess = np.array([rule[c] for c in first[held]])
print({TOKENS[c]: int(v) for c, v in rule.items()}, f"right: {(guess == values[held]).mean():.2f}")
assert 0.2 < (guess == values[held]).mean() < 0.55

# %% [markdown]
# Keep that share in mind when you read a table of ListOps results: a network that scores there *need not* have learned more than to look at one
# token (it may have, and lose the points elsewhere). The Long Range Arena prints 36.4 % for a Transformer. The paper's network reaches 62.75 %.
#
# ## Electrocardiograms: twelve channels
#
# PTB-XL holds recordings of hearts, ten seconds each, 100 samples a second, from twelve *leads*: twelve directions from which the same heart is
# looked at. So one example is an array [12, 1000], and asked are 71 statements, each yes or no (five to 44 in the smaller label sets).
#
# The data are not here. To see the form, we take the one lead that PyWavelets carries and make twelve of it: a stand-in, of no medical meaning.
# One thing in it is true to life: four of the leads are combinations of two others. If I is the view from the left and II the one from
# the left foot, then III = II - I, aVF = (II + III) / 2, aVL = (I - III) / 2 and aVR = -(I + II) / 2.

# %%
from multires_ref.plots.gallery import ecg
from multires_ref.plots.sequences import LEAD_NAMES, plot_example

II = ecg()[:1000] / ecg().std()
I = 0.6 * II + 0.3 * np.roll(II, 3)  # noqa: E741 (the lead's name)
III = II - I
limbs = np.stack([I, II, III, -(I + II) / 2, (I - III) / 2, (II + III) / 2])
assert np.allclose(limbs[3] + limbs[4] + limbs[5], 0)  # the three augmented leads always sum to zero

# %%
chest = np.stack([np.roll(II, k) * (k - 2.5) / 2.5 for k in range(6)])
x = np.concatenate((limbs, chest)).astype(np.float32)
assert x.shape == (12, 1000) == (len(LEAD_NAMES), get_task("ptbxl").network.max_length)
ax = new_axes(6, 3.2)
plot_example(x[:6], ax, title="a stand-in: six leads made of one recording")
ax.set_yticks(ax.get_yticks(), LEAD_NAMES[:6])
show(ax, "six traces, made of one recording")

# %% [markdown]
# These traces look so much alike because they are shifts and multiples of one recording. Real leads see the heart from different sides, and their
# beats have different shapes.

# %% [markdown]
# How does the network read twelve channels? The encoder is a 1x1 map: at each time it turns the 12 numbers into D = 128 mixtures, and from there
# on everything is as before. It sees all leads at the *same* time; the past is the layers' business.

# %%
task = get_task("ptbxl")
network = Model.init(task.network, np.random.default_rng(0))
logits = network(x[None])
weight = network.params["encoder"]["weight"]
print("encoder", weight.shape, "logits", logits.shape, "receptive field", task.network.receptive_field)
assert logits.shape == (1, 71) and task.network.receptive_field >= 1000

# %% [markdown]
# And the score? For each statement the recordings are ordered by the network's logit, and one asks: if I draw one recording that has the statement
# and one that has not, how often does the first stand higher? That is the AUROC, 0.5 for guessing and 1 for a perfect order; the mean over the
# statements is the *macro* AUROC. By hand: logits 0.9, 0.4, 0.7, 0.1 with truth 1, 1, 0, 0. The pairs: 0.9 beats both, 0.4 beats 0.1 and not 0.7.
# So 3 of 4.

# %%
from multires_ref.training.objectives import macro_auroc

logits = np.array([0.9, 0.4, 0.7, 0.1])[:, None]
truth = np.array([1.0, 1.0, 0.0, 0.0])[:, None]
wins = [a > b for a in logits[truth == 1] for b in logits[truth == 0]]
assert np.mean(wins) == 0.75 == macro_auroc(logits, truth)

# %% [markdown]
# ## Images as sequences
#
# An image of 32 x 32 pixels read row by row is a sequence of 1,024; its three colours are three channels at the same time. Pixel (row r, column
# c) comes at n = 32 r + c, so its upper neighbour is 32 steps back, and the pixel in the opposite corner 1,023.
#
# CIFAR-10 is not here. Its file has one byte for the class and then 3,072 for the pixels: all red ones row by row, then green, then blue. Let us
# build such a record from a picture of our own, and read it the way the package does.

# %%
r, c = np.mgrid[0:32, 0:32]
disc = (r - 16) ** 2 + (c - 16) ** 2 < 90
picture = np.stack([8 * r, 8 * c, np.where(disc, 255, 60)]).astype(np.uint8)  # [3, 32, 32]: red, green, blue
record = picture.ravel()
sequence = record.reshape(3, 1024)
assert np.array_equal(sequence[:, 32 * 5 + 7], picture[:, 5, 7])

# %%
figure, ((left, right),) = new_figure(9, 3.2, columns=2, width_ratios=[1, 2])
plot_example(sequence.astype(float), left, title="the image")
for colour, name, channel in zip(("#D55E00", "#009E73", "#0072B2"), ("red", "green", "blue"), sequence, strict=True):
    right.plot(
        range(320, 384), channel[320:384], color=colour, ls="-" if name == "red" else "--" if name == "green" else ":", label=name
    )
right.set(xlabel="time n: rows 10 and 11", ylabel="value (0 to 255)", xticks=range(320, 385, 16), ylim=(-5, 300))
right.legend(ncols=3, loc="upper left")
show(figure, "a made-up image, and its three channels over two of its rows")

# %% [markdown]
# The digits, which are here, are the same thing in small. What reading order means for a *memory* is worth a look: at the middle of the image, how
# old are the neighbours? To the left 1 step, above 8, and the pixel to the right and the one below have not come yet. A network that reads
# in this order must recognise strokes that it sees cut into slices.

# %%
from multires_ref.plots.sequences import plot_ages

ages = 4 * 8 + 4 - np.arange(64).reshape(8, 8)  # seen from row 4, column 4
assert (ages[4, 3], ages[3, 4], ages[4, 5], ages[5, 4]) == (1, 8, -1, -8)
show(plot_ages(8, 4, 4), "the age of each pixel, seen from the middle")

# %% [markdown]
# The fourth task asks for the *density* of such sequences: how probable is each next pixel, given all before. Notebook 16 does it on the digits,
# and explains its score, bits per number. The paper's images are CIFAR-10's: 1,024 steps of three colours, 3,072 numbers, each with 256 values. Its
# network:

# %%
density = get_task("cifar10-density").network
print(
    f"L = {density.max_length}, D = {density.d_model}, {density.n_layers} blocks, K = {density.kernel_size}, J = {density.J}, {density.d_output} outputs at each step"
)
print(f"one block's 1x1 maps: 3 D² + 3 D = {3 * density.d_model**2 + 3 * density.d_model:,} parameters")

# %% [markdown]
# This is where its 38 million parameters (in the table below) come from: nearly all of them are the two 1x1 maps of each block, which grow with the
# square of D. The filters and weights of the layers themselves are little more than a hundredth.
#
# ## The networks, counted
#
# The paper prints how many parameters its networks have. Counting ours, from nothing but the settings, is the cheapest of all tests that the
# settings were understood:

# %%
printed = {
    "scifar10": 1_365_514,
    "listops": 361_994,
    "ptbxl": 222_791,
    "ptbxl-diagnostic": 219_308,
    "cifar10-density": 38_391_908,
}
printed |= {"ptbxl-subdiagnostic": 216_599, "ptbxl-superdiagnostic": 214_277, "ptbxl-form": 216_083, "ptbxl-rhythm": 215_180}

# %%
from multires_ref.network.account import parameters_by_part

for name, expected in printed.items():
    parts = parameters_by_part(get_task(name).network)
    inside = sum(parts[p] for p in ("filters h0, h1", "memory weights w", "skip weights"))
    print(f"{name:22}{sum(parts.values()):>12,} parameters, {100 * inside / sum(parts.values()):4.1f} % in the layers")
    assert sum(parts.values()) == expected

# %% [markdown]
# ## Published, and reproduced here
#
# A reproduction is a number, a command and a machine. An empty place in the right column means just that: at the full setting it has not been run
# with this package. What *was* done is the comparison of the computation with the authors' code, number by number (notebook 7).

# %% tags=["varies"]
from multires_ref.base.tables import text_table

rows = [[name, get_task(name).published, get_task(name).reproduced or "not run"] for name in TASKS]
rows = [row for row in rows if row[0] in printed]  # the other tasks are not the paper's
print(text_table(["task", "published", "reproduced at full setting"], rows))
assert {row[0] for row in rows} == set(printed)

# %% [markdown]
# What *can* be had on any machine is the small tasks. The digits classifier that the figures of this package are drawn from, and the small density
# model of notebook 16, scored now on their test parts:

# %% tags=["varies"]
from multires_ref import load_model
from multires_ref.tasks.task import LoadOptions
from multires_ref.training.evaluate import evaluate as score
from multires_ref.training.objectives import get_objective

# %% tags=["varies"]
trained = {"digits": "../figures/data/digits.safetensors", "digits-density": "data/density.safetensors"}
results = {}
for name, path in trained.items():
    task, small = get_task(name), load_model(path)
    results |= score(small, task.load(LoadOptions())["test"], get_objective(task.objective, small.config))
print({name: round(results[name], 3) for name in ("accuracy", "bits_per_dim")})
assert results["accuracy"] > 0.95 and results["bits_per_dim"] < 2

# %% [markdown]
# ## Summary
#
# - ListOps: nested expressions of up to 2,000 tokens; brackets and their partners are any number of octaves apart; a first-token rule sets
#   the floor.
# - PTB-XL: [12, 1000] numbers, up to 71 yes-or-no statements, scored by the macro AUROC. The encoder mixes the leads, the layers the times.
# - CIFAR-10: [3, 1024], row by row; the pixel above is 32 steps in the past.
# - The parameter counts of all nine settings equal the published ones. Full runs are not among what is here, unless the table above says so.
#
# ## Exercises
#
# **1** (easy). Evaluate by hand: `[MED 3 9 4 ]`, `[SM 9 9 9 ]`, `[MIN 5 [MAX 1 2 ] [SM 6 7 ] ]`.
#
# **2** (easy). In CIFAR-10's order, which pixel comes 33 steps before (row 10, column 0)?
#
# **3** (medium). A network orders the recordings of one statement exactly the wrong way round. What is its AUROC, and what would you do?
#
# **4** (medium). K = 4 and 2,048 tokens: which depth does the ListOps network have, and how far does one layer see?
#
# **5** (harder). Why can the commonest-value-of-the-first-operator rule not be beaten by looking at the first *two* tokens, when the second is a
# digit and the first is SM?

# %% [markdown]
# <details><summary>Solutions</summary>
#
# **1.** 4; 27 modulo 10 = 7; MAX is 2, SM is 13 modulo 10 = 3, so MIN of 5, 2, 3 is 2.
#
# **2.** n = 32 * 10 + 0 = 320; 33 steps before is n = 287 = 32 * 8 + 31: row 8, column 31, the end of the last row but one.
#
# **3.** 0. Turn the sign of that logit round, and it is 1: an AUROC below a half is knowledge with a wrong sign (or a mixed-up label).
#
# **4.** 3 (2^10 - 1) + 1 = 3,070 is the first to cover 2,048 (2^9 gives 1,534). So J = 10.
#
# **5.** A sum modulo 10 of many digits is equally likely to be anything, whatever its first digit, as long as one of the others is uniformly
# distributed. So SM's value tells nothing before its last argument has come: the network must carry every digit.
# </details>

# %% jupyter={"source_hidden": true} tags=["solution"]
answers = {"[MED 3 9 4 ]": 4, "[SM 9 9 9 ]": 7, "[MIN 5 [MAX 1 2 ] [SM 6 7 ] ]": 2}
assert all(evaluate(source) == value for source, value in answers.items())
assert divmod(32 * 10 + 0 - 33, 32) == (8, 31)
assert macro_auroc(-logits[truth[:, 0].argsort()], np.sort(truth, axis=0)) == 0.25
assert macro_auroc(np.array([[2.0], [1.0]]), np.array([[0.0], [1.0]])) == 0
network = get_task("listops").network
assert network.J == 10 and network.receptive_field == 3 * (2**10 - 1) + 1 == 3070
sums = {d: np.bincount((d + np.arange(10)) % 10, minlength=10) for d in range(10)}
assert all((counts == 1).all() for counts in sums.values())
