"""How the pages become a site: Sphinx reads the Markdown with MyST and lays it out with Furo. Nothing is asked of the network."""

# ruff: noqa: INP001  # Sphinx's own file; this folder is no package

project = "phi-guard"
author = "The phi-guard authors"
copyright = "The phi-guard authors, Apache-2.0"  # noqa: A001  # the name is Sphinx's
language = "en"

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
smartquotes = False  # "--help" must stay two hyphens, and quotes what a shell takes

myst_heading_anchors = 4  # the anchors that forges make, so that one link works in both
myst_links_external_new_tab = False

html_theme = "furo"
html_title = "phi-guard"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_search_summary = False  # it fetches pages, which a browser refuses to a page opened from disk
html_last_updated_fmt = None  # the same source gives the same pages
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
