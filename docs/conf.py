"""How Sphinx makes the site (`make docs`) of the pages where they lie, README.md first.

Nothing is fetched, neither when the site is built nor when it is read: fonts are the reader's, formulas are MathML.
"""

from importlib.metadata import version as version_of

project = "nmepkg"
copyright = "the nmepkg authors"
version = release = version_of("nmepkg")

# Every page, by chapters of the sidebar; a test compares them with the files.
CONTENTS = {
    "Using it": [
        "config/README",
        "docs/figures",
        "docs/tables",
        "docs/claims",
        "docs/rerunning",
        "docs/stores",
        "docs/sharing",
        "docs/scale",
        "docs/cluster",
        "docs/surroundings",
        "docs/precision",
        "docs/performance",
    ],
    "What came out": [
        "docs/findings",
        "docs/controls",
        "docs/optimizers",
        "docs/search",
        "How the search was declared <config/search/README>",
        "docs/assumptions",
    ],
    "The library": [
        "docs/library",
        "examples/nme_of_a_trained_net",
        "examples/gradient_penalty_in_your_loop",
        "docs/curvature",
        "docs/extending",
        "docs/reference/index",
    ],
    "The project": ["docs/how-it-is-built", "DEVELOPERS", "CONTRIBUTING", "CHANGELOG"],
}

root_doc = "README"
include_patterns = ["*.md", "config/**.md", "docs/**.md", "examples/*.ipynb"]
exclude_patterns = [".*", "build", "dist", "results", "wheelhouse"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

smartquotes_action = "D"  # dashes alone: φ'' is no quotation
highlight_language = "text"

html_theme = "furo"
html_title = "nmepkg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_math_renderer = "mathml"

nb_execution_mode = "off"  # notebooks are shown as they are; `make notebooks` runs them

myst_heading_anchors = 5  # those of GitHub, so that a link to a heading works in both places
myst_fence_as_directive = ["math"]

autodoc_typehints = "none"  # docstrings say shapes and types
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"


def setup(app):
    """Adds the sidebar's contents to the first page, which is README.md and shown elsewhere too; and formulas as MathML."""
    from docutils import nodes
    from docutils.utils.math.latex2mathml import tex2mathml

    def add_contents(app, name, source):
        if name == root_doc:
            for chapter, pages in CONTENTS.items():
                source[0] += "\n".join(["\n\n```{toctree}", ":hidden:", f":caption: {chapter}", *pages, "```\n"])

    def formula(as_block):
        def visit(translator, node):
            translator.body.append(tex2mathml(node.astext(), as_block=as_block))
            raise nodes.SkipNode

        return visit, None

    app.connect("source-read", add_contents)
    app.add_html_math_renderer("mathml", formula(as_block=False), formula(as_block=True))
