"""Equations as MathML, which browsers draw themselves: no script, no font and no request to another host.

The conversion is docutils' own, so it needs no further library.
"""

import html

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from docutils.utils.math.unichar2tex import uni2tex_table
from sphinx.util import logging


def mathml(node, as_block=False):
    """The equation as MathML; where it cannot be converted, its text, and a warning that says where it stands."""
    text = node.astext()
    try:
        return tex2mathml(
            text.translate(uni2tex_table), as_block=as_block
        )  # characters such as \u229b by their names, \\circledast
    except MathError as error:
        logging.getLogger(__name__).warning("equation %r: %s", text, error, location=node)
        return f"<code>{html.escape(text)}</code>"


def inline(self, node):
    """An equation within a line."""
    self.body.append(mathml(node))
    raise nodes.SkipNode  # its text is not written a second time


def block(self, node):
    """An equation in a line of its own, in a box that scrolls where the page is narrower."""
    self.body.append(f'<div class="equation">{mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """What Sphinx calls."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
