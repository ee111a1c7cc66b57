"""A directive and a role for figures and tables that nobody types.

```{generated} speed            the Markdown that the function `speed` gives
```

{value}`phantom:size_px`        a figure of benchmarks/results/phantom.json, with a format behind a second colon
"""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from generators import models, reference, results, seeds

TABLES = {function.__name__: function for module in (results, models, reference, seeds) for function in module.PUBLIC}


class Generated(SphinxDirective):
    """The Markdown of a function, as if it stood in the page; further words are its arguments."""

    required_arguments = 1
    optional_arguments = 9

    def run(self) -> list[nodes.Node]:
        function, *arguments = self.arguments
        text = TABLES[function](*arguments)
        for path in results.READ:
            self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def value(_name, rawtext, text, _line, _inliner, _options=None, _content=()):
    """One figure in a sentence."""
    return [nodes.Text(results.figure(text))], []


def setup(app):
    app.add_directive("generated", Generated)
    app.add_role("value", value)
    return {"parallel_read_safe": True}
