"""A page to play with, served by Bokeh: filters, the tree, what each scale hears, the memory, a trained network.

`state.py` holds every setting and reads it from the page's address. `views/` has one file for each view; `view.py` says what a
view is. `page.py` puts the views and their controls together, `client.py` is what happens in the browser itself (dragging, keys,
the address), and `server.py` serves the page. Bokeh is imported inside the functions that use it.
"""
