"""The fixture as a new user would guess it: one test per guess, in pytest runs of its own in this process.

Each run has many tests, since its server and its imports cost more than they do.
"""

from __future__ import annotations

import re

import pytest

import fakellm


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """What is first imported by a run in this process is unloaded after it, and YAML's reader in C cannot be loaded twice."""
    with fakellm.serve("rules: []\n") as server:
        assert server.journal == []


PREAMBLE = """
import dataclasses, json, os, re, unittest, urllib.error, urllib.request
import pytest
import fakellm as module

def ask(text="Hi", path="/chat/completions", model="m", base=None, **fields):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **fields}).encode()
    request = urllib.request.Request((base or os.environ["OPENAI_BASE_URL"]) + path, body)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)["choices"][0]["message"]
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "message": error.read().decode()}

def text(*arguments, **fields):
    return ask(*arguments, **fields)["content"]

def status(*arguments, **fields):
    return ask(*arguments, **fields).get("status", 200)
"""


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(PREAMBLE + code)
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *(arguments or ("-p", "no:asyncio")))


GUESSES = """
def test_on_in_a_test(fakellm):
    fakellm.on(user="weather").reply("Sunny")
    fakellm.on(user="time").fail(429, times=1).reply("Noon")
    assert (text("weather?"), status("time?"), text("time?")) == ("Sunny", 429, "Noon")

def test_reply_answers_everything(fakellm):
    fakellm.reply("Hi", usage=None)
    assert text("whatever") == "Hi"

def test_data_is_sent_as_json(fakellm):
    @dataclasses.dataclass
    class City:
        name: str
    fakellm.script({"city": "Oslo"}, City("Bergen"))
    assert [json.loads(text()) for _ in range(2)] == [{"city": "Oslo"}, {"name": "Bergen"}]

def test_a_script_of_an_agent(fakellm):
    fakellm.script("one", fakellm.call("add", a=2), fakellm.faults.Status(status=500), fakellm.Reply(reasoning="Hm"))
    assert text("a") == "one"
    assert ask("b")["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a":2}'}
    assert status("c") == 500
    assert status("d") == 200

def test_a_function_answers(fakellm):
    async def later(request):
        return {"user": request.user}
    fakellm.on(model="x").reply(lambda request: request.user.upper())
    fakellm.on(model="y").reply(later)
    assert (text("abc", model="x"), text("abc", model="y")) == ("ABC", '{"user":"abc"}')

def test_fail_twice_whatever_is_asked(fakellm):
    fakellm.fail(429, times=2, by="rule", retry_after=1).reply("Here")
    assert [status(str(number)) for number in range(3)] == [429, 429, 200]

def test_add_keeps_what_there_is(fakellm):
    fakellm.on(user="a").reply("A")
    assert text("a") == "A"
    fakellm.add("rules: [{when: {user: b}, reply: {content: B}}]")
    fakellm.add([fakellm.Rule(fakellm.Reply(content="C"), fakellm.When(user="c")), module.on(user="d").reply("D")])
    assert [text(each) for each in "abcd"] == ["A", "B", "C", "D"]
    assert len(fakellm.journal) == 5

def test_load_replaces_and_says_so(fakellm, caplog):
    fakellm.reply("Before")
    fakellm.load({"rules": [{"reply": {"content": "After"}}]})
    assert text() == "After"
    assert "load replaces the rules that were added before: 1; add keeps them" in caplog.text

def test_chains_share_a_start(fakellm):
    start = fakellm.on(model="m")
    with pytest.raises(module.ScenarioError, match="no request reaches this rule"):
        start.reply("A"), start.reply("B")
    one = fakellm.on(model="n").stream(split=1).reply("A").timing(first=0.001)
    assert text(model="n") == "A"
    assert one.rule.timing.first == 0.001

def test_a_pattern_and_faults(fakellm):
    fakellm.on(user=fakellm.Pattern(regex="^a"), name="starts").fault(fakellm.faults.Empty())
    fakellm.reply("Other")
    assert text("b") == "Other"

def test_generated_until_there_are_rules(fakellm):
    assert text()
    fakellm.on(user="x").reply("X")
    with fakellm.expect_unmatched() as refused:
        assert "The nearest is 'scenario#1'" in ask("y")["message"]
    assert [entry.number for entry in refused] == [2]

def test_an_expected_refusal_before_a_load(fakellm):
    fakellm.on(user="x").reply("X")
    with fakellm.expect_unmatched() as refused:
        status("y"), fakellm.load("rules: []"), status(path="/nowhere")
    assert [entry.path.rpartition("/")[2] for entry in refused] == ["completions", "nowhere"]

def test_expecting_in_vain(fakellm):
    with pytest.raises(AssertionError, match="there was none"), fakellm.expect_unmatched():
        text()

def test_all_is_allowed(fakellm):
    fakellm.allow_unmatched()
    assert status(path="/nowhere") == 404

@pytest.mark.fakellm(allow_unmatched=True)
def test_the_marker_allows_it_too(fakellm):
    assert status(path="/nowhere") == 404

@pytest.mark.parametrize("number", range(2))
def test_sessions_of_a_test_end_with_it(fakellm, number):
    other = fakellm.session("other")
    other.script("Other")
    assert text(base=other.base_url) == "Other"

def test_urls_and_environment(fakellm):
    assert fakellm.base_url == fakellm.url + "/v1" == os.environ["OPENAI_BASE_URL"]
    assert fakellm.env["OLLAMA_HOST"] == fakellm.url
    assert all("127.0.0.1" in os.environ[name] for name in ("NO_PROXY", "no_proxy"))

@pytest.mark.fakellm(env=False)
def test_without_the_environment(fakellm):
    assert os.environ.get("OPENAI_BASE_URL") != fakellm.base_url

@pytest.mark.fakellm({"rules": [{"reply": {"content": "Hi"}}]})
def test_the_marker_needs_no_argument():
    assert text() == "Hi"

class TestAClass(unittest.TestCase):
    @pytest.mark.fakellm
    def test_of_unittest(self):
        assert text()

def test_what_is_printed(fakellm):
    fakellm.on(user="a").reply("A")
    text("a")
    assert repr(fakellm) == f"<fakellm.Handle {fakellm.url}: 1 rule, 1 request in the journal>"

@pytest.mark.parametrize("number", range(2))
def test_the_server_itself(fakellm_server, number):
    session = fakellm_server.session("mine")
    session.load("rules: [{reply: {content: Hi}}]")
    assert text(base=session.base_url) == "Hi"
    session.reset()
"""


def test_what_is_guessed_works(pytester: pytest.Pytester) -> None:
    result = run(pytester, GUESSES)
    result.assert_outcomes(passed=GUESSES.count("def test_") + 2)


MISTAKES = {
    "a_request_that_no_rule_matches": (
        """
    fakellm.on(user="x").reply("X")
    ask("y")
""",
        [
            "fakellm: no rule answered",
            "request 1, POST /s/*: No rule matches this request. The nearest is 'scenario#1'; it differs in user: *",
            "Add a rule that matches it, or correct what the application sends. *",
        ],
    ),
    "one_before_load": (
        """
    ask(path="/nowhere")
    fakellm.load("rules: []")
""",
        ["request 1, POST /s/*/nowhere: Unknown request URL: *"],
    ),
    "one_before_a_reset": ("\n    ask(path='/nowhere'); fakellm.reset()\n", ["request 1, *Unknown request URL*"]),
    "an_api_that_is_not_served": (
        "\n    ask(path='/rerank')\n",
        ["request 1, *fakellm does not serve Cohere*", "Correct what the application sends. A test that expects *"],
    ),
    "a_script_that_is_too_long": (
        """
    fakellm.script("one", "two", "three")
    ask()
""",
        [
            "fakellm: replies of scripts were not sent",
            "the script of 'scenario#1' has replies for 3 requests, got 1",
            "The application sent fewer requests than the test expects: *",
        ],
    ),
    "a_session_beside_its_own": (
        "\n    ask(path='/nowhere', base=fakellm.session('beside').base_url)\n",
        ["request 1, POST /s/beside/v1/nowhere: Unknown request URL: *"],
    ),
    "a_script_that_is_too_short": (
        """
    fakellm.script("one")
    ask("a"), ask("b")
""",
        [
            "request 2, *The script of the rule 'scenario#1' has replies for 1 request, and this is request 2. Add a reply *",
            "A test that expects the refusal *",
        ],
    ),
    "faults_that_break_nothing": (
        """
    fakellm.on(user="a").reply("A").fault(fakellm.faults.Reset(frame=3))
    fakellm.on(user="b").fault(fakellm.faults.Stall(byte=5000, times=1))
    fakellm.on(user="c").script(fakellm.faults.Malformed(), "C")
    fakellm.on(user="never asked").fail()
    with pytest.raises(AssertionError, match="'scenario#1' answered request 1. The fault broke nothing: 'frame'"):
        text("a"), ask("c"), ask("c"), fakellm.assert_all_used()
    with urllib.request.urlopen(urllib.request.Request(
        fakellm.base_url + "/chat/completions", b'{"model": "m", "messages": [{"role": "user", "content": "b"}]}'
    )) as response:
        assert json.loads(response.read(int(response.headers["content-length"])))["choices"]
""",
        [
            "fakellm: faults had no effect",
            "'scenario#1' answered request 1. The fault broke nothing: 'frame' of 'reset' needs a stream, and this *: leave 'frame' out.",
            "'scenario#3' answered request 2. The fault broke nothing: 'malformed' applies only to streams, *",
            "'scenario#2' answered request 4. *: 'byte: 5000' of 'stall' is too late: the reply is complete after * bytes; *",
        ],
    ),
    "an_agent_that_never_ends": (
        """
    fakellm.on(user="Hi").reply(fakellm.call("look"))
    messages = [{"role": "user", "content": "Hi"}]
    while (reply := ask(messages=messages)).get("tool_calls"):
        messages += [reply, {"role": "tool", "tool_call_id": reply["tool_calls"][0]["id"], "content": "3"}]
""",
        [
            "request 101, *The conversation has the same call of look 100 times *: add `turn: 1` to it *",
            "A test that *",
        ],
    ),
    "a_rule_without_a_reply": (
        """
    fakellm.on(user="x")
    fakellm.on(user="y").reply("Y").then()
""",
        [
            "fakellm: test_*.py:*: on(…) without a reply: add .reply(…), .script(…), .call_tool(…) or .fail(…)",
            "test_*.py:*: on(…) without a reply: *",
        ],
    ),
}


def test_what_nobody_foresaw_fails_the_test(pytester: pytest.Pytester) -> None:
    code = "".join(f"\ndef test_{name}(fakellm):{body}" for name, (body, _) in MISTAKES.items())
    code += """
def test_a_server_of_its_own(fakellm_server):
    ask(path="/first", base=fakellm_server.base_url)

def test_a_session_of_its_own(fakellm_server):
    session = fakellm_server.session("s")
    ask(path="/second", base=session.base_url)
    session.reset()

def test_builds_a_client(fakellm):
    global kept
    kept = fakellm.base_url
    text()

def test_keeps_it(fakellm):
    text(base=kept)

def test_keeps_it_and_knows(fakellm):
    text(base=kept)
    fakellm.allow_unmatched()

def test_after_them(fakellm_server):
    assert text(base=fakellm_server.base_url)
"""
    result = run(pytester, code)
    result.assert_outcomes(passed=len(MISTAKES) + 6, errors=len(MISTAKES) + 3)
    reports = re.split(r"_ ERROR at teardown of test_(\w+) _", result.stdout.str())
    shown = dict(zip(reports[1::2], reports[2::2], strict=True))
    for name, (_, lines) in MISTAKES.items():
        pytest.LineMatcher(shown[name].splitlines()).fnmatch_lines(lines)
    assert "POST /v1/first: Unknown request URL" in shown["a_server_of_its_own"]
    lines = ["fakellm: requests to the session of a test that has ended", "http://127.0.0.1:*-test_builds_a_client"]
    pytest.LineMatcher(shown["keeps_it"].splitlines()).fnmatch_lines(
        [*lines, "The application keeps a client of *, or a thread, *"]
    )
    assert "POST /s/s/v1/second: Unknown request URL" in shown["a_session_of_its_own"]


AT_THE_CALL = {
    "fakellm.on(usr='Hi')": "on(…): unknown key 'usr'; * did you mean 'user'?",
    "fakellm.reply(5)": "on(…).reply: expected a text, *, got 5",
    "fakellm.fail(429, retry_afer=1)": "on(…).fail: unknown key 'retry_afer'; * did you mean 'retry_after'?",
    "fakellm.Rule(reply='Hi')": "reply: expected a Reply, got 'Hi'; write fakellm.Reply(content='Hi'), or build the rule with *",
    "fakellm.add({'when': {'user': 'x'}, 'reply': {}})": "scenario: this mapping is a rule; write {'rules': [[]{…}[]]}*",
    "fakellm.add('a.yaml', 'b.yaml')": "add takes one scenario, got 2: put rules into a list: add([[]…, …[]])",
    "fakellm.load({}, {})": "load takes one scenario, got 2: *",
    "fakellm.add([{'reply': {}}])": "scenario: rules[[]0[]]: expected a Rule or on(…), *; a list of mappings goes into {'rules': [[]…[]]}",
    "fakellm.add({'rules': [{'reply': 'Hi'}]})": "scenario: rules[[]0[]].reply: expected object, got string; write {content: Hi}",
    "fakellm.Reply(contnet='Hi')": "Reply(…) has no argument 'contnet'; allowed: content, *; did you mean 'content'?",
    "fakellm.Pattern(regx='Hi')": "Pattern(…) has no argument 'regx'; allowed: regex, exact; did you mean 'regex'?",
    "fakellm.Step(reply='one')": "reply: expected a Reply, got 'one'; write fakellm.Reply(content='one')",
    "fakellm.script(fakellm.Step('one'))": "reply: expected a Reply, got 'one'; write fakellm.Reply(content='one')",
    "fakellm.faults.Status(status_code=429)": "Status(…) has no argument 'status_code'; allowed: *; did you mean 'status'?",
    "fakellm.reply('Hi', timing={'first': 1})": "on(…).reply: unknown key 'timing'; *; it has a method of its own: .timing(…)",
    "fakellm.reply('Hi', user='Ada')": "on(…).reply: unknown key 'user'; *; it belongs into on(user=…)",
    "fakellm.reply('Hi', thinking='Hm')": "on(…).reply: unknown key 'thinking'; *; did you mean 'reasoning'?",
    "fakellm.reply('Hi', delay=1)": "on(…).reply: unknown key 'delay'; *; did you mean .timing(first=…)[?]",
    "fakellm.on(content='Hi')": "on(…): unknown key 'content'; *; it belongs into .reply(content=…)",
    "fakellm.on(prompt='Hi')": "on(…): unknown key 'prompt'; *; did you mean 'user'?",
    "fakellm.on(messages=[])": "on(…): unknown key 'messages'; *; 'user' is the text of the user's last message, *",
    "fakellm.on(assistant='Hi')": "on(…): unknown key 'assistant'; *; 'user' is *, 'message' that of any one, *",
    "fakellm.assert_called(content='Hi')": "assert_called(…): unknown key 'content'; *; 'user' is *, 'message' that *",
    "fakellm.on(body='Hi')": "on(…): body: expected object, got string; write body={'messages[[]-1].content': 'Hi'}, *",
    "fakellm.on(body={1: 2})": "on(…): body: expected the path of a value, got 1",
    "fakellm.on(headers='Hi')": "on(…): headers: expected object, got string; write headers={'x-run': 'Hi'}, *",
    "fakellm.on(user=lambda request: True)": "on(…): user: *, got function; a condition is a value: a function *",
    "fakellm.on(user={'contains': 'Hi'})": "on(…): user.contains: unknown key *; a plain text in its place must be *",
    "fakellm.on(result={'add': 5})": "on(…): result.add: *, got integer; write '5', in quotes",
    "fakellm.on().fail(headers={'retry-after': 1})": "on(…): fault.headers.retry-after: *; write '1', in quotes",
    "fakellm.on().fault(429)": "on(…): fault: expected object | null, got integer; write .fail(429)",
    "fakellm.reply('a', 'b')": "reply: too many positional arguments; *; for replies in order, write script('a', 'b')",
    "fakellm.on().stream('a', 'b')": "stream: too many positional arguments; its fields are passed by name: *",
    "fakellm.on().timing(1)": "timing: too many positional arguments; its fields are passed by name: .timing(first=0.5)",
    "fakellm.reply('a').then('b')": "then: too many positional arguments; *: .then().reply('b')",
    "fakellm.fail(429, 2)": "fail: too many positional arguments; *: fail(429, times=2)",
    "fakellm.call(name='add')": "call: missing a required argument: 'function'; *: call('add', a=1)",
    "fakellm.on().call_tool(name='add')": "call_tool: missing a required argument: 'function'; *.call_tool('add', a=1)",
    "fakellm.reply('Hi', status=429)": "on(…).reply: unknown key 'status'; *; to fail with a status, write .fail(429)",
    "fakellm.script(429, 'Hi')": "*replies[[]0]: a status is not a reply, got 429; write fakellm.faults.Status(status=429)",
    "fakellm.reply([0.1, 0.2])": "on(…).reply: *; embeddings are always made from their input, and cannot be scripted",
    "fakellm.reply({'role': 'assistant', 'content': 'x'})": "reply: this is a whole message, *: write .reply('x'), *",
    "fakellm.on().once()": "on(…) has no 'once'; *; did you mean .script(…)[?]",
    "fakellm.assert_called_times(2)": "*'assert_called_times'; did you mean fakellm.assert_called(times=…)[?]",
    "fakellm.on(dialect='grok').reply('Hi')": "*unknown dialect 'grok'; *; did you mean 'xai'?",
    "fakellm.wait_for(times=1)": "wait_for(…): unknown key 'times'; *; did you mean 'count'?",
    "fakellm.wait_for(outcome='cancelled')": "*'cancelled' is not one of *; did you mean 'client left'?",
    "fakellm.assert_called(time=1)": "assert_called(…): unknown key 'time'; *; did you mean 'times'?",
    "fakellm.assert_called(count=1)": "assert_called(…): unknown key 'count'; *; did you mean 'times'?",
    "fakellm.allow_unmatched = True": "'allow_unmatched' of a Handle cannot be set: call it: fakellm.allow_unmatched(…)",
    "fakellm.seed = 7": "'seed' of a Handle cannot be set: it is a setting of the marker, @pytest.mark.fakellm(seed=…)",
    "fakellm.journal = []": "'journal' of a Handle cannot be set: it can only be read",
    "fakellm.repply = 'Hi'": "'repply' of a Handle cannot be set: it does not exist; did you mean 'reply'?",
    "fakellm.add('no-such.yaml')": "no-such.yaml: no such file or directory*",
    "fakellm.on().reply('a').reply('b')": "on(…): a reply after a reply; *",
    "fakellm.script()": "on(…).script: expected one or more replies; *",
    "fakellm.replyy('x')": "'Handle' object has no attribute 'replyy'; did you mean 'reply'?",
    "fakellm.serve()": "'Handle' object has no attribute 'serve'*; the fixture hides the module *`from fakellm import serve`*",
    "fakellm.reply({'choices': [{'message': {'content': 'Hi'}}]})": 'reply: this is a whole response, *: write .reply("Hello"), or fakellm.Reply(…)*',
    "fakellm.on().returns('Hi')": "on(…) has no 'returns'; it has reply, script, *; did you mean .reply(…)[?]",
    "fakellm.reply('Hi').raises": "on(…) has no 'raises'; *; did you mean .fail(status)[?]",
    "fakellm.reply('Hi').times": "on(…) has no 'times'; *; did you mean .fail(status, times=…)[?]",
    "module.Entry('POST', '/').text": "'Entry' object has no attribute 'text'; did you mean .reply.text[?]",
    "module.Entry('POST', '/').messages": "'Entry' object has no attribute 'messages'; did you mean .request[[]'messages'[]][?]",
    "module.Entry('POST', '/').reply.content": "'SentReply' object has no attribute 'content'; did you mean .text[?]",
    "fakellm.on().fault('timeout')": "on(…): fault: expected object | null, got string; write .fault(fakellm.faults.Stall(frame=3))",
    "fakellm.on(tools='add')": "on(…): tools: expected array | null, got string; write [[]'add'[]]",
    "fakellm.on(result='5')": "on(…): result: expected object, got string; write result={'add': '5'}, *",
    "fakellm.on(user=re.compile('H.'))": "on(…): user: *, got re.Pattern; write fakellm.Pattern(regex='H.')",
    "fakellm.on(user=['Hi', 'Hello'])": "on(…): user: *, got array; write one rule each, or fakellm.Pattern(regex='Hi|Hello')",
    "fakellm.on(stream='yes')": "on(…): stream: *, got string 'yes'; write True, without quotes",
    "fakellm.fail('429')": "on(…): fault.status: expected integer, got string '429'; write 429, without quotes",
    "fakellm.fail('rate_limit')": "on(…): fault.status: expected integer, got string 'rate_limit'; write 429",
    "fakellm.fail(times='two')": "on(…): fault.times: *, got string 'two'; write 2",
    "fakellm.on().timing(first='200ms')": "on(…): timing.first: *, got string '200ms'; write 0.2, in seconds",
    "fakellm.add(fakellm.on(user='Hi').reply('Hello'))": "add: on(…) has added this rule already, at *.py:*: leave out add(…)",
    "fakellm.add([fakellm.on(user='Hi').reply('Hello')])": "add: on(…) has added this rule already, at *.py:*: leave out add(…)",
    "fakellm.call('add', {'a': 1})": "call: the arguments of 'add' are passed by name: write call('add', a=1)",
    "fakellm.on().call_tool('add', {'a': 1})": "call_tool: the arguments of 'add' are passed by name: write call_tool('add', a=1)",
    "fakellm.call_tool('add', a=1)": "'Handle' object has no attribute 'call_tool'; did you mean fakellm.on().call_tool(…)[?]",
    "fakellm.fault(fakellm.faults.Stall())": "'Handle' object has no attribute 'fault'; did you mean fakellm.on().fault(…)[?]",
    "fakellm.delay(1)": "'Handle' object has no attribute 'delay'; did you mean fakellm.on().timing(first=1)[?]",
    "fakellm.reply('Hi').delay(1)": "on(…) has no 'delay'; *; did you mean .timing(first=1)[?]",
    "fakellm.fail(429, times=2); fakellm.reply('Hi')": "no request reaches this rule: the one that test_*.py:* added matches every *; put the more specific rule first, or chain the replies to that one: fakellm.fail(429, times=2).reply(…), *",
    "fakellm.reply('Hi'); fakellm.add([module.on(user='b').reply('b')])": "no request reaches this rule: the one that test_*.py:* added matches every *",
    "fakellm.load([module.on().reply('a'), module.on(user='b').reply('b')])": "scenario: rules[[]1[]]: no request *: the one at rules[[]0[]] *under 'then', in Python with .then() or .script(…)",
    "fakellm.calls": "'Handle' object has no attribute 'calls'; did you mean fakellm.requests[?]",
    "fakellm.call_count": "'Handle' object has no attribute 'call_count'; did you mean len(fakellm.requests)[?]",
    "fakellm.faults.Timeout": "module 'fakellm.faults' has no attribute 'Timeout'; did you mean 'Stall'[?]",
    "module.faults.Disconnect": "module 'fakellm.faults' has no attribute 'Disconnect'; did you mean 'Reset'[?]",
    "module.faults.stall": "module 'fakellm.faults' has no attribute 'stall'; did you mean 'Stall'[?]",
}


def test_a_wrong_argument_is_shown_at_the_line_of_the_test(pytester: pytest.Pytester) -> None:
    code = "".join(f"\ndef test_{number}(fakellm):\n    {call}\n" for number, call in enumerate(AT_THE_CALL))
    result = run(pytester, code)
    reports = re.split(r"_ test_(\d+) _", result.stdout.str())
    assert len(reports) == 2 * len(AT_THE_CALL) + 1
    for call, message, shown in zip(AT_THE_CALL, AT_THE_CALL.values(), reports[2::2], strict=True):
        lines = [line for line in shown.splitlines() if line.startswith((">", "E"))]
        assert lines[0] == f">       {call}" if len(lines[0]) < 100 else True
        pytest.LineMatcher(lines).fnmatch_lines([f"E  *: {message}"])


def test_a_failure_without_a_request_asks_where_the_client_was_built(pytester: pytest.Pytester) -> None:
    code = """
def test_elsewhere(fakellm):
    fakellm.reply("Hi")
    raise ConnectionError

def test_elsewhere_before_an_assert(fakellm):
    fakellm.reply("Hi")
    fakellm.assert_called()

def test_elsewhere_before_a_wait(fakellm):
    fakellm.reply("Hi")
    fakellm.wait_for(timeout=0)

def test_without_rules(fakellm):
    raise ConnectionError

def test_with_a_request(fakellm):
    fakellm.reply("Hi")
    assert text() == "Ho"

def test_a_call_that_is_wrong(fakellm):
    fakellm.reply("Hi").then("Ho")

def test_in_our_own_code(fakellm):
    fakellm.reply("Hi")
    fakellm.wait_for(timeout=-1)

def test_with_a_lone_call(fakellm):
    fakellm.call("add", a=1)
    assert ask().get("tool_calls")

def test_embeddings(fakellm):
    fakellm.on(model="text-embedding-*").fail(429)
    body = b'{"model": "text-embedding-3-small", "input": "Hi"}'
    urllib.request.urlopen(urllib.request.Request(fakellm.base_url + "/embeddings", body)).close()
    for check in (fakellm.assert_all_used, lambda: fakellm.assert_called(model="text-*")):
        with pytest.raises(AssertionError, match="request 1 was for embeddings, which rules do not answer"):
            check()
    assert False

def test_models(fakellm):
    fakellm.reply("Hi")
    urllib.request.urlopen(fakellm.base_url + "/models/m").close()
    assert False
"""
    result = run(pytester, code)
    reports = re.split(r"_ test_(\w+) _", result.stdout.str())
    shown = dict(zip(reports[1::2], reports[2::2], strict=True))
    before_a_check = (
        "no request reached http://127.0.0.1:*/v1, which has rules. The client sends its requests elsewhere, *"
    )
    expected = {
        **dict.fromkeys(("elsewhere_before_an_assert", "elsewhere_before_a_wait"), before_a_check),
        "elsewhere": "no request reached http://127.0.0.1:*test_elsewhere/v1, which has rules. The client sends *module "
        "was imported[?]*base_url=fakellm.base_url, *A process that the test starts needs env=os.environ | fakellm.env.",
        "with_a_lone_call": "this test has added no rule, so its replies were generated. fakellm.on(…).reply(…) adds *",
        "models": "request 1 was for models, which rules do not answer; fakellm.journal has them",
        "embeddings": "request 1 was for embeddings, which rules do not answer; fakellm.journal has them",
    }
    for name, hint in expected.items():
        pytest.LineMatcher(shown[name].splitlines()).fnmatch_lines([hint])
    hints = ("no request reached", "no rule, so", "which rules do not answer;")
    assert all(hint not in shown[name] for name in shown.keys() - expected.keys() for hint in hints)


def test_markers_and_options_set_what_a_session_is(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfakellm_seed = 3\nfakellm_scenario = scenarios/base.yaml\n")
    folder = pytester.mkdir("scenarios")
    (folder / "base.yaml").write_text("rules: [{when: {model: base}, reply: {content: Base}}]")
    (folder / "other.yaml").write_text("rules: [{reply: {content: Other}, timing: {first: 60}}]")
    code = """
def test_options(fakellm, fakellm_server):
    assert text(model="base") == "Base"
    assert fakellm.health()["seed"] == fakellm_server.health()["seed"] == 3

@pytest.mark.fakellm("scenarios/other.yaml", seed=7, speed=0)
def test_a_marker(fakellm):
    assert text() == "Other"
    assert fakellm.health() == fakellm.health() | {"seed": 7, "strict": True}

@pytest.mark.fakellm(strict=False)
def test_not_strict(fakellm):
    assert text(model="unknown")

@pytest.mark.fakellm(scenario=None, dialect="xai")
def test_a_dialect(fakellm):
    generated = ask(model="grok-4")
    fakellm.on(model="grok-4").reply("Hi")
    assert "refusal" in generated
    assert "refusal" in ask(model="grok-4")

@pytest.mark.fakellm([module.on(user="x").reply("X")], host="0.0.0.0")
def test_all_interfaces(fakellm):
    assert fakellm.url.startswith("http://127.0.0.1:")
    assert text("x") == "X"

@pytest.mark.fakellm(seed=8)
class TestMarkersAddUp:
    @pytest.mark.fakellm(strict=False)
    def test_both(self, fakellm):
        assert fakellm.health() == fakellm.health() | {"seed": 8, "strict": False}

@pytest.mark.fakellm(sed=7)
def test_a_misspelt_setting(fakellm): ...

@pytest.mark.fakellm(seed="x")
def test_a_wrong_value(fakellm): ...

@pytest.mark.fakellm("nowhere.yaml")
def test_no_file(fakellm): ...

@pytest.mark.fakellm(scenario=None, dialect="xia")
def test_no_dialect(fakellm): ...
"""
    result = run(pytester, code, "-p", "no:asyncio", "--strict-markers")
    result.assert_outcomes(passed=6, errors=4)
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.fakellm: sed: unknown key 'sed'; allowed here: scenario, seed, *; did you mean 'seed'?",
            "@pytest.mark.fakellm: seed: expected integer, got string",
            f"@pytest.mark.fakellm: nowhere.yaml: no such file or directory; searched for in {pytester.path}",
            "@pytest.mark.fakellm: unknown dialect 'xia'; allowed: *",
        ]
    )


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("fakellm_scenario = missing.yaml", "tox.ini: fakellm_scenario: *missing.yaml: no such file or directory*"),
        ("fakellm_dialect = claude", "tox.ini: fakellm_dialect: unknown dialect 'claude'; *"),
    ],
)
def test_a_wrong_value_of_an_option_is_reported(pytester: pytest.Pytester, option: str, expected: str) -> None:
    pytester.makeini(f"[pytest]\n{option}\n")
    run(pytester, "def test_one(fakellm): ...\n").stdout.fnmatch_lines([expected])


def test_a_wrong_option_is_reported(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfakellm_seed = x\n")
    result = run(pytester, "def test_one(fakellm): ...\n")
    assert f"{pytester.path}/tox.ini: fakellm_seed: expected a whole number, got 'x'" in result.stdout.lines
    assert "Traceback" not in result.stdout.str()


OTHER_RUNNERS = """
import asyncio, unittest

class TestOfUnittest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def server(self, fakellm):
        self.fakellm = fakellm

    def setUp(self):
        self.fakellm.reply("Unit")

    def test_it(self):
        self.assertEqual(text(), "Unit")

class TestOfAsyncUnittest(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def server(self, fakellm):
        self.fakellm = fakellm

    async def test_it(self):
        self.fakellm.reply("Async unit")
        self.assertEqual(await asyncio.to_thread(text), "Async unit")

@pytest.mark.asyncio
async def test_of_pytest_asyncio(fakellm):
    async def later(request):
        await asyncio.sleep(0)
        return request.user
    fakellm.reply(later)
    assert await asyncio.gather(*(asyncio.to_thread(text, each) for each in "ab")) == ["a", "b"]

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_anyio(fakellm):
    import anyio.to_thread
    fakellm.script("one", "two")
    assert [await anyio.to_thread.run_sync(text) for _ in range(2)] == ["one", "two"]

class TestOfUnittestThatFails(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def server(self, fakellm): ...

    def test_it(self):
        ask(path="/nowhere")

@pytest.mark.asyncio
async def test_of_pytest_asyncio_that_fails(fakellm):
    await asyncio.to_thread(ask, path="/nowhere")
"""


def test_other_runners_use_the_fixture_too(pytester: pytest.Pytester) -> None:
    result = run(pytester, OTHER_RUNNERS, "-o", "asyncio_default_fixture_loop_scope=function")
    result.assert_outcomes(passed=6, errors=2)
