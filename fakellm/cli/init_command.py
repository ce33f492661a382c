"""`fakellm init`: writes a scenario, a test and the schema for editors, to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from fakellm.base.json_text import dumps
from fakellm.cli.serving import fail
from fakellm.scenarios.editor_schema import scenario_schema

_NEXT = """\
Run the tests, which pass:
  pytest {test}
Serve the rules, and edit them meanwhile:
  fakellm serve {scenario}"""


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write a scenario, a test and a schema to start from.

    They go into FOLDER, by default the current one: a commented scenario, a test that passes, and the schema for
    editors.

    Existing files stay as they are: if there is one of these names, nothing is written.
    """
    starter = files("fakellm.cli") / "starter"
    texts = {
        "fakellm.yaml": (starter / "fakellm.yaml").read_text(encoding="utf-8"),
        "test_fakellm.py": (starter / "test_fakellm.py.txt").read_text(encoding="utf-8"),
    }
    texts["fakellm.schema.json"] = dumps(scenario_schema(), indent=2) + "\n"
    if present := [str(folder / name) for name in texts if (folder / name).exists()]:
        fail(f"fakellm init: there already: {', '.join(present)}; nothing was written", 2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            click.echo(f"wrote {folder / name}")
    except OSError as error:
        fail(f"fakellm init: cannot write into {folder}: {(error.strerror or str(error)).lower()}", 2)
    click.echo(_NEXT.format(test=folder / "test_fakellm.py", scenario=folder / "fakellm.yaml"))
