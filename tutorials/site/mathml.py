"""Equations as MathML, which browsers draw themselves: no script, no font and no request to another host.

The conversion is docutils' own, so it needs no further library.
"""

from docutils.utils.math.latex2mathml import tex2mathml


def inline(self, node):
    """An equation within a line."""
    self.body.append(tex2mathml(node.astext()))
    raise_skip()


def block(self, node):
    """An equation in a line of its own, in a box that scrolls where the page is narrower."""
    self.body.append(f'<div class="equation">{tex2mathml(node.astext(), as_block=True)}</div>\n')
    raise_skip()


def raise_skip():
    """The text of the node is not written a second time."""
    from docutils import nodes

    raise nodes.SkipNode


def setup(app):
    """What Sphinx calls."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
