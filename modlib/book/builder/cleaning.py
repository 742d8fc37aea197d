"""Executed notebooks without what differs from run to run, or from machine to machine."""

import json
import re
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode

#: What the bar says that hides the parameters of a page, and the one that hides other code before its text.
CHOOSES = "Parameters of this page"
SETS_UP = "Code that sets up this page"


def clean(notebook: NotebookNode, parameters: Mapping[str, Any]) -> NotebookNode:
    """Return an executed notebook without times, paths, random identifiers and progress bars.

    Streams that arrived in pieces are joined. The values that papermill wrote into a cell of its own are
    written into the cell tagged ``parameters``, with its comments. The notebook is changed in place.
    """
    notebook.metadata.clear()
    notebook.metadata.update(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"},
    )
    cells = [cell for cell in notebook.cells if not tagged(cell, "injected-parameters")]
    declared = next((cell for cell in cells if tagged(cell, "parameters")), None)
    if declared is not None and all(_assign(declared, name, value) for name, value in parameters.items()):
        notebook.cells = cells
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if tagged(cell, "hide-input") and not cell.get("outputs"):
            said = CHOOSES if tagged(cell, "parameters") else SETS_UP
            cell.metadata["mystnb"] = {"code_prompt_show": said, "code_prompt_hide": said}
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = _clean_outputs(cell.outputs)
    return notebook


def tagged(cell: NotebookNode, tag: str) -> bool:
    """Say whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def _assign(cell: NotebookNode, name: str, value: Any) -> bool:
    """Give a parameter its value in the source of its cell; return whether it is assigned there."""
    pattern = re.compile(rf"^({name}\s*(?::[^=\n]+)?=\s*)([^#\n]*?)(\s*(?:#.*)?)$", re.MULTILINE)
    # The sources are formatted with double quotes.
    text = json.dumps(value) if isinstance(value, str) else repr(value)
    cell.source, count = pattern.subn(lambda match: match[1] + text + match[3], cell.source, count=1)
    return count == 1


def _clean_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    kept: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr" and ("\r" in output.text or not output.text.strip()):
                continue
            if kept and kept[-1].output_type == "stream" and kept[-1].name == output.name:
                kept[-1].text += output.text
                continue
        if output.output_type == "execute_result":
            output.execution_count = None
        kept.append(output)
    return kept
