"""`fakellm fuzz` on drivers in processes of their own: those that pass, those that fail, and those that break."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fakellm.apis.variation import PLAIN
from fakellm.cli import main
from tests.conftest import ROOT
from tests.saved_files import saved_files

DRIVER = """\
import json, os, sys, time
from tests import wrong_clients
client = getattr(wrong_clients, sys.argv[1])()
for line in sys.stdin:
    case = json.loads(line)
    try:
        result = client(case["base_url"], case["request"])
    except Exception as error:
        result = {"error": {"type": "builtins." + type(error).__name__, "message": str(error)}}
    if sys.argv[2:] and (result.get("tool_calls") or result.get("refusal")):
        exec(sys.argv[2])
    print(json.dumps({"id": case["id"], **result}), flush=True)
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The start of a command for a driver; failures are saved in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    file = tmp_path / "driver.py"
    file.write_text(DRIVER)
    return [sys.executable, str(file)]


def fuzz(*words: str) -> Result:
    return CliRunner().invoke(main, ["fuzz", *words])


def test_a_client_that_passes(driver: list[str]) -> None:
    done = fuzz("--examples", "30", "--exclude", "transfer", "--", *driver, "Careful")
    assert (done.exit_code, done.output) == (
        0,
        "no failures in 30 cases (profile realistic, seed 0)\n\n"
        "Compared: content, reasoning, refusal, tool_calls, finish_reason, usage; not reported by the client: choices\n",
    )


def test_a_driver_that_merges_choices_is_caught(driver: list[str]) -> None:
    """It reports no `choices`, but its requests are for several."""
    done = fuzz("--examples", "10", "--", *driver, "MergesChoices")
    assert done.exit_code == 1
    assert "not reported by the client: choices" in done.output
    assert "Wrong result: content\n   expected  a\n   got       a" in done.output


def test_the_help_lists_the_profiles_of_every_api() -> None:
    text = " ".join(fuzz("--help").output.split())
    assert "One of realistic, standard, strict-sse, contested, faults, all, or a dialect of the API. " in text
    assert "Those of chat: " in text
    assert "Those of gemini: ai-studio, vertex." in text


def test_a_failure_is_reported_saved_and_replayed(driver: list[str]) -> None:
    done = fuzz("--seed", "3", "--", *driver, "CrashesOnComments")
    assert done.exit_code == 1
    assert "sse.insert: comment (T1: A5 A6)" in done.output
    (file,) = saved_files(Path(".fakellm/failures"))
    again = f"fakellm fuzz --replay {file} -- {shlex.join(driver)} CrashesOnComments"
    assert again in done.output
    replayed = fuzz("--replay", str(file), "--", *driver, "CrashesOnComments")
    assert (replayed.exit_code, "KeyError" in replayed.output) == (1, True)
    assert fuzz("--replay", str(file), "--", *driver, "Careful").exit_code == 0


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("os._exit(3)", "the driver ended with exit code 3"),
        ("print('<html>')", "expected JSON with the id"),
        ("result = {'content': 7}", "Expected `str | null`, got `int` - at `$.content`"),
        ("case['id'] += 1", "expected JSON with the id"),
    ],
)
def test_a_driver_that_breaks_is_a_failing_case(driver: list[str], breaks: str, message: str) -> None:
    done = fuzz("--examples", "6", "--max-failures", "9", "--", *driver, "Careful", breaks)
    assert done.exit_code == 1
    assert message in done.output
    assert "in 6 cases" in done.output  # it was restarted for those that followed


def test_a_driver_that_hangs_is_a_failing_case(driver: list[str]) -> None:
    hangs = "time.sleep(60) if case['id'] > 5 else None"  # the first five show what it reports
    done = fuzz("--timeout", "0.1", "--examples", "2", "--", *driver, "Careful", hangs)
    assert done.exit_code == 1
    assert "No answer in time" in done.output


def test_a_driver_may_take_its_time_to_start(driver: list[str], tmp_path: Path) -> None:
    """Longer than its client may take for an answer, also when it is restarted after it died."""
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(0.5)\n" + (tmp_path / "driver.py").read_text())
    words = ["--timeout", "0.1", "--examples", "4", "--", sys.executable, str(slow), "Careful"]
    assert fuzz(*words).exit_code == 0
    done = fuzz(*words, "os._exit(3)")
    assert "the driver ended with exit code 3" in done.output
    assert "No answer in time" not in done.output


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import sys, os, time; sys.stdin.readline(); os.close(1); time.sleep(99)",
            "the driver closed its standard output",
        ),
        ("import os; os.system('sleep 99')", "the driver printed no line for"),  # its child holds the pipe
    ],
)
def test_a_driver_that_leaves_something_behind_is_ended(
    code: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fakellm.fuzzing.clients.client_process.STARTING", 3.0)
    done = fuzz("--timeout", "0.2", "--", sys.executable, "-c", code)
    assert done.exit_code == 2
    assert message in done.output


def test_a_scenario_is_replayed_whatever_it_matches(driver: list[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("rules: [{when: {model: other, turn: 3}, reply: {content: Hi}}]")
    assert fuzz("--replay", str(file), "--", *driver, "Careful").exit_code == 0
    file.write_text("rules: [{reply: {content: 'You are {{user}}', template: true}}]")
    done = fuzz("--replay", str(file), "--", *driver, "Careful")
    assert done.exit_code == 2
    assert "rules[0] has template: what a client should read from it is not known beforehand" in done.output


def test_a_saved_failure_is_tried_if_it_belongs_to_the_profile(driver: list[str]) -> None:
    assert fuzz("--profile", "faults", "--", *driver, "AssumesTheEnd").exit_code == 1
    done = fuzz("--examples", "20", "--", *driver, "AssumesTheEnd")
    assert done.exit_code == 0
    assert "because the profile does not contain them or they are excluded: 1 saved failure\n" in done.output
    assert "in 1 case " in fuzz("--profile", "faults", "--", *driver, "AssumesTheEnd").output


def test_ctrl_c_ends_it_with_what_was_found(driver: list[str]) -> None:
    interrupts = "os.kill(os.getppid(), 2) if case['id'] > 300 else None"  # sent to fakellm by its driver
    words = ["fuzz", "-q", "--profile=standard", "--examples=9999", "--max-failures=9"]
    words += ["--", *driver, "NeedsSpace", interrupts]
    done = subprocess.run([sys.executable, "-m", "fakellm", *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
    assert re.match(r"1 failure in \d+ cases \(profile standard, seed 0\), then interrupted\n", done.stdout)
    assert "sse.space (T1: A4)" in done.stdout


def test_ctrl_c_ends_a_matrix_with_the_rows_so_far(driver: list[str]) -> None:
    interrupts = "os.kill(os.getppid(), 2) if case['id'] > 30 else None"
    words = ["fuzz", "--matrix", "--profile=standard", "--", *driver, "NeedsSpace", interrupts]
    done = subprocess.run([sys.executable, "-m", "fakellm", *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
    assert re.match(r"Interrupted\. Of \d+ steps, faults and dialects, \d+ hold for all\.\n\nstep ", done.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--", "no-such-command"], "cannot start 'no-such-command': no such file or directory"),
        (
            ["--", sys.executable, "-c", "print('hello')"],
            "the client returns no result for a plain stream: expected JSON with the id 1, got 'hello'",
        ),
        (
            ["--", sys.executable, "-c", ""],
            "the client returns no result for a plain stream: the driver ended with exit code 0",
        ),
        (
            ["--", "A=1 no-such-command"],
            "the command is not passed to a shell: write env A=1 no-such-command, without quotes around it",
        ),
        (["--client", "python -c ''"], "expected NAME=CMD, got \"python -c ''\""),
        (["--client", "a='unclosed"], "no closing quotation"),
        (["--format", "html", "--", "true"], "need --matrix"),
        (["--client", "a=true", "--", "true"], "several clients need --matrix"),
        (["--matrix", "--replay", "a.yaml", "--", "true"], "use only one of them"),
        (["--replay", "a.yaml", "--exclude", "sse", "--", "true"], "--exclude has no effect with --replay"),
        (["--matrix", "--examples", "9", "--", "true"], "--examples has no effect with --matrix"),
        (["--timeout", "0", "--", "true"], "0.0 is not in the range x>0"),
        (["--timeout", "inf", "--", "true"], "expected a finite number, got inf"),
        (["--timeout", "nan", "--", "true"], "expected a finite number, got nan"),
        (["--matrix", "--client", "a=true", "--client", "a=false"], "two clients are named 'a'"),
        (["--matrix", "--client", "true=false", "--", "true"], "two clients are named 'true'"),
        (
            ["--", sys.executable, "-c", "print('[' * 100_000)"],
            "the client returns no result for a plain stream: expected JSON with the id 1, got '[[[",
        ),
        (["--profile", "nope", "--", "true"], "there is no profile 'nope'"),
        (["--exclude", "nope", "--", "true"], "there is no step 'nope' to exclude"),
        (["--replay", "nope.yaml", "--", "true"], "nope.yaml: no such file or directory"),
        ([], "there is no client: write the command"),
    ],
)
def test_what_cannot_be_run_is_reported(words: list[str], message: str, driver: list[str]) -> None:
    done = fuzz(*words)
    assert done.exit_code == 2
    assert message in done.output


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ("text", "sse.space T1 A4 ok FAILS: EOFError"),
        ("markdown", "| `sse.space` | T1 | A4 | ok | FAILS: EOFError |\n"),
        ("html", '<td class="fails" title="expected &#x27;the whole answer&#x27;'),
    ],
)
def test_the_matrix(style: str, message: str, driver: list[str]) -> None:
    clients = {"good": "Careful", "bad": "NeedsSpace"}
    named = [f"--client={name}={shlex.join(driver)} {client}" for name, client in clients.items()]
    exclude = [
        f"--exclude={step}" for step in ("transfer", "spelling", "fill", "padding", "calls", "split", "role", "finish")
    ]
    done = fuzz("--matrix", "--profile=standard", "--format", style, *exclude, *named)
    assert done.exit_code == 1
    assert message in re.sub(" +", " ", done.output)
    [(steps, holding)] = re.findall(r"Of (\d+) steps, faults and dialects, (\d+) hold for all\.", done.output)
    assert 0 < int(holding) < int(steps)


def test_the_page_of_the_matrix_in_a_browser(driver: list[str], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    client = f"--client=bad={shlex.join(driver)} NeedsSpace"
    page = tmp_path / "page.html"
    page.write_text(
        fuzz("--matrix", "--profile=standard", "--format", "html", "--exclude", "transfer", client).output,
        encoding="utf-8",
    )
    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    words = [browser, "--headless", *quiet, f"--user-data-dir={tmp_path / 'user'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(words, capture_output=True, encoding="utf-8", check=True, timeout=60).stdout
    table = shown[shown.index("<table>") :]
    [hint] = re.findall(r'<td class="fails" title="([^"]*)">FAILS: EOFError</td>', table)
    assert hint.startswith("expected 'the whole answer', got '")
    assert table.count('<td class="held">ok</td>') > 50
    assert "prefers-color-scheme: dark" in shown
    assert '<a title="no space after `data:`" href="https://github.com/openai/openai-python/issues/498">A4</a>' in table


def test_the_matrix_of_what_fails(driver: list[str]) -> None:
    only = [f"--exclude={step}" for step in PLAIN.__struct_fields__ if step not in ("sse", "score")]
    done = fuzz(
        "--matrix", "--profile=standard", "--failing-only", "--format=markdown", *only, "--", *driver, "NeedsSpace"
    )
    above, _, head, _, *rows = done.output.splitlines()
    steps, holding = map(int, re.findall(r"\d+", above))
    assert head == "| step | tier | row | NeedsSpace |"
    assert len(rows) == steps - holding
    assert all("FAILS" in row for row in rows)


def test_a_matrix_of_what_fails_may_be_empty(driver: list[str]) -> None:
    only = [f"--exclude={step}" for step in PLAIN.__struct_fields__ if step not in ("sse", "score")]
    done = fuzz("--matrix", "--profile=standard", "--failing-only", *only, "--", *driver, "Careful")
    assert done.exit_code == 0
    assert re.fullmatch(
        r"Of (\d+) steps, faults and dialects, \1 hold for all\.\n\nstep  tier  row  Careful\n", done.output
    )


@pytest.mark.parametrize(("timeout", "milliseconds"), [("0.0001", 1), ("1.1", 1100), ("2", 2000)])
def test_a_driver_on_node_gets_whole_milliseconds(timeout: str, milliseconds: int, tmp_path: Path) -> None:
    """The timers of Node reject fractions."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js: apt-get install nodejs")
    file = tmp_path / "driver.mjs"
    file.write_text(
        f"""import {{ run }} from {json.dumps((ROOT / "fakellm" / "drivers" / "loop.mjs").as_uri())};
await run((baseURL, request, timeout) => {{ throw new Error(`${{timeout}}`); }});
"""
    )
    done = fuzz("--timeout", timeout, "--", node, str(file))
    assert f"the client fails on a plain stream: Error: {milliseconds}\n" in done.output


def test_a_failure_that_cannot_be_saved_is_still_reported(driver: list[str]) -> None:
    Path(".fakellm").touch()
    done = fuzz("--profile=standard", "--", *driver, "NeedsSpace")
    assert done.exit_code == 1
    assert "sse.space (T1: A4)" in done.output
    assert "To reproduce: run the same command again; the failure could not be saved: " in done.output


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            [sys.executable, "-c", "print('hello')"],
            ["   expected  'Hello, world.'", "   It sent no request. If it is a client of another API than chat, add --api"],
        ),
        (["--profile", "standrad", "--", "true"], ["; did you mean 'standard'?"]),
        (["--profile", "default", "--", "true"], ["`default` is now called `standard`; without `--profile`, `realistic` is used"]),
        (["--seed", "1", "python", "-m", "mine"], ["Write -- before the driver's command: fakellm fuzz --seed 1 -- python -m mine"]),
        (["--seed", "1", "python", "mine.py", "-q"], ["Write -- before the driver's command: fakellm fuzz --seed 1 -- python mine.py -q"]),
        (["--profile", "anthropic", "--", "true"], ["; for clients of messages, write --api messages, or api='messages' in Python"]),
        (["--profile", "grok", "--", "true"], ["; did you mean 'xai'?"]),
        (["--unknown", "--", "true"], ["No such option '--unknown'"]),
    ],
)  # fmt: skip
def test_a_remedy_stands_beside_what_is_wrong(words: list[str], lines: list[str]) -> None:
    done = fuzz(*words if words[0].startswith("--") else ("--", *words))
    assert done.exit_code == 2
    assert all(line in done.output for line in lines)


def test_a_client_of_another_api_is_refused_with_the_option_to_add(driver: list[str]) -> None:
    done = fuzz("--api", "completions", "--", *driver, "Careful")
    assert done.exit_code == 2
    assert "the client is not one of the API completions\n" in done.output
    assert (
        "It requested /v1/chat/completions, of the API chat: add --api chat, or api='chat' in Python\n" in done.output
    )


def test_a_client_that_fails_on_a_plain_stream_is_shown_with_it_and_a_command_to_look_at_it(driver: list[str]) -> None:
    wrong = "def client(base_url, request): raise KeyError('delta')"
    Path("wrong.py").write_text(
        Path(driver[1]).read_text().replace("client = getattr(wrong_clients, sys.argv[1])()", wrong)
    )
    done = fuzz("--timeout", "3", "--", driver[0], "wrong.py")
    assert done.exit_code == 2
    message, expected, *others = done.output.splitlines()
    assert message == "fakellm fuzz: the client fails on a plain stream: builtins.KeyError: 'delta'"
    assert expected == "   expected  'Hello, world.'"
    assert others[-2] == "   To look at it: fakellm serve --port 8080, and in another terminal:"
    assert re.fullmatch(r"   echo '\{\"id\": 1, \"api\": \"chat\", .*\"timeout\": 3.0\}' \| \S+ wrong.py", others[-1])
