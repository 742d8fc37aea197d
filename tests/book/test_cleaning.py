"""What is published of an executed notebook does not differ from run to run."""

import json

import nbformat

from modlib.book.builder.cleaning import CHOOSES, SETS_UP, clean

PARAMETERS = 'profile = "quick"  # or "paper"\nunits: int = 3'


def ran_notebook(parameters):
    cells = [
        nbformat.v4.new_markdown_cell("# One"),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("print(profile)"),
    ]
    made = nbformat.v4.new_notebook(cells=cells)
    injected = nbformat.v4.new_code_cell(
        '# Parameters\nprofile = "paper"\n', metadata={"tags": ["injected-parameters"]}
    )
    made.cells.insert(2, injected)
    made.metadata.papermill = {"input_path": "/somewhere/one.ipynb", "start_time": "2020-01-01T00:00:00"}
    for count, cell in enumerate(made.cells):
        cell.metadata.papermill = {"duration": 0.1}
        if cell.cell_type == "code":
            cell.execution_count = count
    return made


def test_the_page_shows_the_parameters_that_were_run_with_their_comments():
    cleaned = clean(ran_notebook(PARAMETERS), {"profile": "paper"})
    assert [cell.cell_type for cell in cleaned.cells] == ["markdown", "code", "code"]
    assert cleaned.cells[1].source == 'profile = "paper"  # or "paper"\nunits: int = 3'
    assert "papermill" not in json.dumps(cleaned)


def test_a_value_that_cannot_be_written_into_the_parameters_keeps_its_own_cell():
    cleaned = clean(ran_notebook("units = 3"), {"profile": "paper"})
    assert [cell.source for cell in cleaned.cells][1:3] == ["units = 3", '# Parameters\nprofile = "paper"\n']


def test_streams_are_joined_and_progress_bars_go_but_warnings_stay():
    made = ran_notebook(PARAMETERS)

    def stream(name, text):
        return nbformat.v4.new_output("stream", name=name, text=text)

    made.cells[-1].outputs = [
        stream("stdout", "a\n"),
        stream("stderr", "\r 10%"),
        stream("stderr", "\r100%\n"),
        stream("stdout", "b\n"),
        stream("stderr", "UserWarning: odd\n"),
    ]
    outputs = clean(made, {"profile": "paper"}).cells[-1].outputs
    assert [(one.name, one.text) for one in outputs] == [
        ("stdout", "a\nb\n"),
        ("stderr", "UserWarning: odd\n"),
    ]


def test_cell_identifiers_do_not_differ_from_run_to_run():
    one, two = (clean(ran_notebook(PARAMETERS), {"profile": "paper"}) for _ in range(2))
    assert nbformat.writes(one) == nbformat.writes(two)
    assert len({cell.id for cell in one.cells}) == len(one.cells)


def test_hidden_cells_without_output_say_what_they_are():
    made = ran_notebook(PARAMETERS)
    made.cells[1].metadata.tags.append("hide-input")
    made.cells[-1].metadata.tags = ["hide-input"]
    shown = nbformat.v4.new_code_cell("1", metadata={"tags": ["hide-input"]})
    shown.outputs = [nbformat.v4.new_output("stream", name="stdout", text="1")]
    made.cells.append(shown)
    cells = clean(made, {"profile": "paper"}).cells
    assert cells[1].metadata.mystnb == {"code_prompt_show": CHOOSES, "code_prompt_hide": CHOOSES}
    assert cells[2].metadata.mystnb == {"code_prompt_show": SETS_UP, "code_prompt_hide": SETS_UP}
    assert "mystnb" not in cells[-1].metadata
