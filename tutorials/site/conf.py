"""The settings of the site. `multires-ref tutorials --site DIR` puts its sources together and calls Sphinx with this file."""

import sys
from pathlib import Path

import multires_ref

sys.path.insert(0, str(Path(__file__).parent))  # for pages.py and mathml.py

project = "multires_ref"
author = "the multires_ref developers"
copyright = f"{author}. MIT license"
version = release = multires_ref.__version__
language = "en"
smartquotes = False  # --out stays --out

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "mathml",
    "pages",
]
exclude_patterns = ["_static"]
nitpicky = True

# Notebooks show the outputs that are stored in them; pages are Markdown.
nb_execution_mode = "off"
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# The reference is made from numpydoc docstrings; types stand there, not in the signatures.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
python_maximum_signature_line_length = 100
default_role = "name"  # of pages.py: `pyramid` in a docstring becomes a link, other words code

html_theme = "pydata_sphinx_theme"
html_title = "multires_ref"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("knobs.js", {"defer": "defer"})]
html_extra_path = ["extra"] if (Path(__file__).parent / "extra").is_dir() else []
html_sidebars = {page: [] for page in ("index", "glossary", "changelog", "contributing")}
html_copy_source = False
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system has it
html_theme_options = {
    "logo": {"text": "multires_ref"},
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = ">>> |... |$ "
copybutton_prompt_is_regexp = False
