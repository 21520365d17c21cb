"""One function a figure: it takes the data and an Axes (or makes its own), draws, and returns the Axes.

    style      colours, sizes, a figure without pyplot's global state, saving bit by bit the same
    levels     a signal and its coefficients over time
    tree       the tree and the memory that TreeSelect outlines in it; receptive field and lags
    filters    a pair of filters, in time and in frequency
    responses  what each scale answers to an impulse, and to a tone
    memory     the memory of a signal as a picture, and what can be recovered of the past from it
    kernel     the one long kernel that a layer equals
    learned    what training made of the filters, and of the weight of each scale
    decision   an output, or a decision, split by scale and lag
    model      all of these for a model that somebody trained

`analysis` and `attribution` compute what `memory` and `decision` draw; `gallery` and `stored` put the package's own figures
together. Nothing here is imported by `import multires_ref`.
"""
