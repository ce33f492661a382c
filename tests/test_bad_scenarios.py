"""Every problem in a file is reported with its place, what is allowed and the nearest valid name: exact messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from msgspec import Struct

from fakellm import Reply, Rule, ScenarioError, Variation, When, load
from fakellm.apis.route import DIALECT_NAMES, HOMES
from fakellm.base.validation import null_places
from fakellm.faults import Fault
from fakellm.scenarios.scenario import ScenarioFile
from fakellm.scenarios.yaml_document import _null_places
from fakellm.wire.http.transfer import Transfer


def keys(of: type[Struct]) -> str:
    return ", ".join(of.__struct_fields__)


LISTS = {
    "<rule>": keys(Rule),
    "<when>": keys(When),
    "<reply>": keys(Reply),
    "<stream>": keys(Variation),
    "<transfer>": keys(Transfer),
    "<faults>": ", ".join(str(kind.__struct_config__.tag) for kind in get_args(Fault)),
    "<dialects>": ", ".join(DIALECT_NAMES),
    "<apis>": ", ".join(HOMES),
}
"""Long lists of allowed words, by the name that stands for each in the messages below."""

BAD: list[tuple[str, list[str]]] = [
    ("", ["a.yaml: the file is empty; a scenario is a mapping with a list of 'rules'"]),
    ("# nothing", ["a.yaml: the file is empty; a scenario is a mapping with a list of 'rules'"]),
    ("just text", ["a.yaml:1:1: expected object, got string"]),
    ("- reply: {}", ["a.yaml:1:1: expected object, got array; write 'rules:' in a line above the list"]),
    ("scenario: x", ["a.yaml:1:1: the key 'rules' is missing"]),
    ("rules: 3", ["a.yaml:1:8: rules: expected array, got integer"]),
    ("rules: {reply: {}}", ["a.yaml:1:8: rules: expected array, got object; start each item of the list with '- '"]),
    ("rules: []\nrules: []", ["a.yaml:2:1: the key 'rules' appears twice; first in line 1"]),
    ("rules: []\n7: x", ["a.yaml:2:1: a key must be text; put it in quotes"]),
    ("rules: [", ["a.yaml:1:8: this bracket is never closed"]),
    (
        "rules: *a",
        ["a.yaml:1:8: found undefined alias; a value that starts with * refers to an anchor; put the text in quotes"],
    ),
    ("rules: &a [*a]", ["a.yaml:1:8: this part contains itself"]),
    (
        "rules: []\n---\nrules: []",
        ["a.yaml:2:1: a scenario file has one document; put what follows --- into a file of its own"],
    ),
    (
        "rules:\n\t- reply: {}",
        [
            "a.yaml:2:1: found character that cannot start any token; indent with spaces: YAML allows no tabs there",
        ],
    ),
    (
        "rules:\n- {name: a, when: {model: m}, reply: {}}\n- {name: a, reply: {}}",
        ["a.yaml:3:3: rules[1].name: 'a' is also the name of the rule at a.yaml:2:3"],
    ),
    (
        "rules:\n- reply: {content: a, b}",
        [
            "a.yaml:2:23: rules[0].reply: unknown key 'b'; allowed here: <reply>; text with a comma or '}' in it must be in quotes"
        ],
    ),
    (
        "rules:\n- reply:{content: Hi}",
        [
            "a.yaml:2:3: rules[0]: unknown key 'reply:{content'; allowed here: <rule>; a key ends in ':' and a space",
            "a.yaml:2:3: rules[0]: the key 'reply' is missing",
        ],
    ),
    (
        "rules: [\x01]",
        ['a.yaml: unacceptable character #x0001: control characters are not allowed in "<unicode string>", position 8'],
    ),
    (
        "scenario: 5\nrules: []",
        ["a.yaml:1:11: scenario: expected string, got integer; put it in quotes to make it text"],
    ),
    ("dialect: 7\nrules: []", ["a.yaml:1:10: dialect: expected string, got integer; put it in quotes to make it text"]),
    (
        "dialect: opnai\nrules: []",
        ["a.yaml:1:10: dialect: 'opnai' is not one of <dialects>; did you mean 'openai'?"],
    ),
    (
        "dialect: opnai\nrules:\n- {dialect: xia, reply: {content: 3}}",
        [
            "a.yaml:1:10: dialect: 'opnai' is not one of <dialects>; did you mean 'openai'?",
            "a.yaml:3:13: rules[0].dialect: 'xia' is not one of <dialects>; did you mean 'xai'?",
            "a.yaml:3:35: rules[0].reply.content: expected string, got integer; put it in quotes to make it text",
        ],
    ),
    (
        "rule: []",
        [
            "a.yaml:1:1: unknown key 'rule'; allowed here: scenario, dialect, timing, limits, rules, include, version; did you mean 'rules'?",
        ],
    ),
    (
        "Rules: []",
        [
            "a.yaml:1:1: unknown key 'Rules'; allowed here: scenario, dialect, timing, limits, rules, include, version; did you mean 'rules'?",
        ],
    ),
    ("include: other.yaml\nrules: []", ["a.yaml:1:10: include: expected array, got string; write [other.yaml]"]),
    ("include: [nowhere.yaml]\nrules: []", ["nowhere.yaml: no such file or directory (included by a.yaml)"]),
    ("rules:\n- {}", ["a.yaml:2:3: rules[0]: the key 'reply' is missing"]),
    ("rules:\n- when: {}", ["a.yaml:2:3: rules[0]: the key 'reply' is missing"]),
    ("rules:\n- 5", ["a.yaml:2:3: rules[0]: expected object, got integer"]),
    ("rules:\n- null", ["a.yaml:2:3: rules[0]: expected object, got null"]),
    ("rules:\n- reply: Hi", ["a.yaml:2:10: rules[0].reply: expected object, got string; write {content: Hi}"]),
    ("rules:\n- reply:\n", ["a.yaml:2:9: rules[0].reply: expected object, got null"]),
    (
        "rules:\n- replies: []",
        [
            "a.yaml:2:3: rules[0]: unknown key 'replies'; allowed here: <rule>; did you mean 'reply'?",
        ],
    ),
    (
        "rules:\n- {reply: {}, nam: x}",
        ["a.yaml:2:15: rules[0]: unknown key 'nam'; allowed here: <rule>; did you mean 'name'?"],
    ),
    (
        "rules:\n- {reply: {}, name: 3}",
        ["a.yaml:2:21: rules[0].name: expected string | null, got integer; put it in quotes to make it text"],
    ),
    ("rules:\n- {reply: {}, reply: {}}", ["a.yaml:2:15: the key 'reply' appears twice; first in line 2"]),
    ("rules:\n- {reply: {}, after: loop}", ["a.yaml:2:22: rules[0].after: 'loop' is not one of last, cycle, fail"]),
    (
        "rules:\n- {reply: {}, then: {reply: {}}}",
        ["a.yaml:2:21: rules[0].then: expected array, got object; start each item of the list with '- '"],
    ),
    (
        "rules:\n- {reply: {}, then: [{content: x}]}",
        [
            "a.yaml:2:23: rules[0].then[0]: unknown key 'content'; allowed here: reply, stream, timing, fault, patch; 'content' is a key of 'reply': write reply: {content: …}",
            "a.yaml:2:22: rules[0].then[0]: the key 'reply' is missing",
        ],
    ),
    (
        "rules:\n- {reply: {}, then: [{reply: {}, when: {}}]}",
        ["a.yaml:2:34: rules[0].then[0]: unknown key 'when'; allowed here: reply, stream, timing, fault, patch"],
    ),
    (
        "rules:\n- when: gpt-5\n  reply: {}",
        ["a.yaml:2:9: rules[0].when: expected object, got string; write {user: gpt-5}"],
    ),
    (
        "rules:\n- when: {modle: x}\n  reply: {}",
        ["a.yaml:2:10: rules[0].when: unknown key 'modle'; allowed here: <when>; did you mean 'model'?"],
    ),
    (
        "rules:\n- when: {model: [a, b]}\n  reply: {}",
        ["a.yaml:2:17: rules[0].when.model: expected string | null, got array"],
    ),
    ("rules:\n- when: {turn: 0}\n  reply: {}", ["a.yaml:2:16: rules[0].when.turn: expected integer >= 1, got 0"]),
    (
        "rules:\n- when: {turn: first}\n  reply: {}",
        ["a.yaml:2:16: rules[0].when.turn: expected integer | null, got string 'first'; write 1"],
    ),
    (
        "rules:\n- when: {tools: add}\n  reply: {}",
        ["a.yaml:2:17: rules[0].when.tools: expected array | null, got string; write [add]"],
    ),
    (
        "rules:\n- when: {user: 5}\n  reply: {}",
        [
            "a.yaml:2:16: rules[0].when.user: expected string | object | null, got integer; put it in quotes to make it text"
        ],
    ),
    (
        "rules:\n- when: {user: {regx: a}}\n  reply: {}",
        ["a.yaml:2:17: rules[0].when.user: unknown key 'regx'; allowed here: regex, exact; did you mean 'regex'?"],
    ),
    (
        "rules:\n- when: {user: {}}\n  reply: {}",
        ["a.yaml:2:16: rules[0].when.user: give one of 'regex' and 'exact', or a plain text that must be contained"],
    ),
    (
        "rules:\n- when: {user: {regex: a, exact: b}}\n  reply: {}",
        ["a.yaml:2:16: rules[0].when.user: give one of 'regex' and 'exact', or a plain text that must be contained"],
    ),
    (
        "rules:\n- when: {system: {regex: '('}}\n  reply: {}",
        [
            "a.yaml:2:26: rules[0].when.system.regex: '(' is not a regular expression: missing ), unterminated subpattern at position 0"
        ],
    ),
    (
        "rules:\n- when: {stream: maybe}\n  reply: {}",
        [
            "a.yaml:2:18: rules[0].when.stream: expected boolean | null, got string 'maybe'; write true or false, without quotes"
        ],
    ),
    (
        "rules:\n- when: {result: '5'}\n  reply: {}",
        ['a.yaml:2:18: rules[0].when.result: expected object, got string; write {add: "5"}, by the name of the tool'],
    ),
    (
        "rules:\n- when: {headers: {x-run: 5}}\n  reply: {}",
        [
            "a.yaml:2:27: rules[0].when.headers.x-run: expected string | object, got integer; put it in quotes to make it text"
        ],
    ),
    (
        "rules:\n- when: {body: {a..b: 1}}\n  reply: {}",
        [
            "a.yaml:2:23: rules[0].when.body.a..b: 'a..b' is not a path; write one such as metadata.run or messages[-1].name"
        ],
    ),
    (
        "rules:\n- when: {body: {a: {regex: '['}}}\n  reply: {}",
        [
            "a.yaml:2:28: rules[0].when.body.a.regex: '[' is not a regular expression: unterminated character set at position 0"
        ],
    ),
    (
        "rules:\n- when: {body: {a: {regex: 5}}}\n  reply: {}",
        ["a.yaml:2:28: rules[0].when.body.a.regex: expected a text, got 5"],
    ),
    (
        "rules:\n- reply: {}\n- reply: {}",
        [
            "a.yaml:3:3: rules[1]: no request reaches this rule: the one at a.yaml:2:3 matches every request that it matches; put the more specific rule first, or list its replies in order under 'then'"
        ],
    ),
    (
        "rules:\n- {when: {model: gpt-*}, reply: {}}\n- {when: {model: gpt-5, turn: 2}, reply: {}}",
        [
            "a.yaml:3:3: rules[1]: no request reaches this rule: the one at a.yaml:2:3 matches every request that it matches; put the more specific rule first, or list its replies in order under 'then'"
        ],
    ),
    (
        "rules:\n- {when: {user: a}, reply: {}}\n- {when: {turn: 1}, reply: {}}\n- {when: {turn: 1, user: a, body: {n: 2}}, reply: {}}",
        [
            "a.yaml:4:3: rules[2]: no request reaches this rule: the one at a.yaml:2:3 matches every request that it matches; put the more specific rule first, or list its replies in order under 'then'"
        ],
    ),
    (
        "rules:\n- reply: {content: 5}",
        ["a.yaml:2:20: rules[0].reply.content: expected string, got integer; put it in quotes to make it text"],
    ),
    (
        "rules:\n- reply: {content: null}",
        ["a.yaml:2:20: rules[0].reply.content: expected string, got null; put it in quotes to make it text"],
    ),
    (
        "rules:\n- reply: {contents: x}",
        ["a.yaml:2:11: rules[0].reply: unknown key 'contents'; allowed here: <reply>; did you mean 'content'?"],
    ),
    (
        "rules:\n- reply: {tool_calls: [add]}",
        ["a.yaml:2:24: rules[0].reply.tool_calls[0]: expected object, got string; write {name: add}"],
    ),
    (
        "rules:\n- reply: {tool_calls: [{arguments: {}}]}",
        ["a.yaml:2:24: rules[0].reply.tool_calls[0]: the key 'name' is missing"],
    ),
    (
        "rules:\n- reply: {tool_calls: [{name: add, argument: {}}]}",
        [
            "a.yaml:2:36: rules[0].reply.tool_calls[0]: unknown key 'argument'; allowed here: name, arguments, id, kind, own; did you mean 'arguments'?"
        ],
    ),
    (
        "rules:\n- reply: {tool_calls: {name: add}}",
        ["a.yaml:2:23: rules[0].reply.tool_calls: expected array, got object; start each item of the list with '- '"],
    ),
    (
        "rules:\n- reply: {finish_reason: 3}",
        [
            "a.yaml:2:26: rules[0].reply.finish_reason: expected string | null, got integer; put it in quotes to make it text"
        ],
    ),
    (
        "rules:\n- reply: {content: a, choices: [{content: b}]}",
        ["a.yaml:2:20: rules[0].reply.content: 'content' beside 'choices': put it in a choice, or leave out 'choices'"],
    ),
    (
        "rules:\n- reply: {usage: {promt: 3}}",
        [
            "a.yaml:2:19: rules[0].reply.usage: unknown key 'promt'; allowed here: prompt, completion, cached, reasoning, total, details, cache_write, own; did you mean 'prompt'?"
        ],
    ),
    ("rules:\n- reply: {usage: 3}", ["a.yaml:2:18: rules[0].reply.usage: expected object | null, got integer"]),
    ("rules:\n- reply: {created: 0}", ["a.yaml:2:20: rules[0].reply.created: expected integer >= 1, got 0"]),
    (
        "rules:\n- reply: {headers: {'a b': c}}",
        ["a.yaml:2:28: rules[0].reply.headers.a b: 'a b' is not the name of a header"],
    ),
    (
        'rules:\n- reply: {headers: {a: "x\\ny"}}',
        [
            "a.yaml:2:24: rules[0].reply.headers.a: 'x\\ny' cannot be sent in a header: printable ASCII alone, and no line end"
        ],
    ),
    (
        "rules:\n- reply: {headers: {a: 1}}",
        ["a.yaml:2:24: rules[0].reply.headers.a: expected string, got integer; put it in quotes to make it text"],
    ),
    (
        "rules:\n- reply: {template: true, content: 'Hi {{usr}}'}",
        [
            "a.yaml:2:36: rules[0].reply.content: unknown placeholder {{usr}}; allowed: user, system, model, turn, attempt, result.…, arguments.…, body.…, headers.…; did you mean 'user'?"
        ],
    ),
    (
        "rules:\n- reply: {template: true, content: 'Hi {{user'}",
        ["a.yaml:2:36: rules[0].reply.content: '{{' without an end: '{{user'; a literal '{{' is '{{{{'"],
    ),
    (
        "rules:\n- reply: {template: true, content: '{{result}}'}",
        ["a.yaml:2:36: rules[0].reply.content: {{result}}: name a function or a call after 'result': {{result.name}}"],
    ),
    (
        "rules:\n- reply: {template: true, content: '{{user.name}}'}",
        ["a.yaml:2:36: rules[0].reply.content: {{user.name}}: 'user' has no parts"],
    ),
    (
        "rules:\n- reply: {template: true, tool_calls: [{name: f, arguments: {a: [1, '{{atempt}}']}}]}",
        [
            "a.yaml:2:69: rules[0].reply.tool_calls[0].arguments.a[1]: unknown placeholder {{atempt}}; allowed: user, system, model, turn, attempt, result.…, arguments.…, body.…, headers.…; did you mean 'attempt'?"
        ],
    ),
    (
        "rules:\n- reply: {template: true, content: '{{body.a..b}}'}",
        [
            "a.yaml:2:36: rules[0].reply.content: 'body.a..b' is not a path; write one such as metadata.run or messages[-1].name"
        ],
    ),
    (
        "rules:\n- reply: {choices: [{template: true, content: '{{now}}'}]}",
        [
            "a.yaml:2:47: rules[0].reply.choices[0].content: unknown placeholder {{now}}; allowed: user, system, model, turn, attempt, result.…, arguments.…, body.…, headers.…"
        ],
    ),
    (
        "rules:\n- {reply: {}, stream: {split: {content: tokns}}}",
        [
            "a.yaml:2:41: rules[0].stream.split.content: 'tokns' is not one of whole, tokens, words, characters, random, surrogates, a number, an array; did you mean 'tokens'?"
        ],
    ),
    (
        "rules:\n- {reply: {}, stream: {pading: 3}}",
        ["a.yaml:2:24: rules[0].stream: unknown key 'pading'; allowed here: <stream>; did you mean 'padding'?"],
    ),
    (
        "rules:\n- {reply: {}, timing: {first: -1}}",
        ["a.yaml:2:31: rules[0].timing.first: expected number >= 0.0, got -1"],
    ),
    (
        "rules:\n- {reply: {}, timing: {first: {mean: 0.5, stddev: 0.2}}}",
        [
            "a.yaml:2:31: rules[0].timing.first: the key 'kind' is missing; it is one of lognormal, gamma, empirical; write {kind: lognormal, mean: 0.5, deviation: 0.2}"
        ],
    ),
    (
        "rules:\n- {reply: {}, timing: {gap: {kind: gamma, mean: 0.5, stddev: 0.2}}}",
        [
            "a.yaml:2:54: rules[0].timing.gap: unknown key 'stddev'; allowed here: kind, mean, deviation; did you mean 'deviation'?"
        ],
    ),
    (
        "rules:\n- {reply: {}, stream: {transfer: {zstd: true}}}",
        ["a.yaml:2:35: rules[0].stream.transfer: unknown key 'zstd'; allowed here: <transfer>; write encoding: zstd"],
    ),
    (
        "rules:\n- {reply: {}, timing: {step: true, gap: 1}}",
        [
            "a.yaml:2:41: rules[0].timing.gap: 'gap' beside 'step': a frame that waits for a step leaves when the test releases it; leave out one of them"
        ],
    ),
    (
        "rules:\n- {reply: {}, fault: {kind: statsu}}",
        ["a.yaml:2:29: rules[0].fault.kind: 'statsu' is not one of <faults>; did you mean 'status'?"],
    ),
    (
        "rules:\n- {reply: {}, fault: {status: 429}}",
        ["a.yaml:2:22: rules[0].fault: the key 'kind' is missing; it is one of <faults>"],
    ),
    (
        "rules:\n- {reply: {}, fault: {kind: status, status: 42}}",
        ["a.yaml:2:45: rules[0].fault.status: expected integer >= 200, got 42"],
    ),
    (
        "rules:\n- {reply: {}, fault: {kind: bad_arguments}}",
        [
            "a.yaml:2:29: rules[0].fault.kind: 'bad_arguments' needs a reply with a tool call; add 'tool_calls' to 'reply'"
        ],
    ),
    (
        "rules:\n- {reply: {}, then: [{reply: {}, fault: {kind: same_id}}]}",
        [
            "a.yaml:2:48: rules[0].then[0].fault.kind: 'same_id' needs a reply with 2 tool calls in one choice; add 'tool_calls' to 'reply'"
        ],
    ),
    (
        "rules:\n- when: {modl: x}\n  reply: {contnt: y}\n- reply: 3\n- {}",
        [
            "a.yaml:2:10: rules[0].when: unknown key 'modl'; allowed here: <when>; did you mean 'model'?",
            "a.yaml:3:11: rules[0].reply: unknown key 'contnt'; allowed here: <reply>; did you mean 'content'?",
            'a.yaml:4:10: rules[1].reply: expected object, got integer; write {content: "3"}',
            "a.yaml:5:3: rules[2]: the key 'reply' is missing",
        ],
    ),
    (
        "rules:\n- reply: {}\n  stream: {score: {runs: [{parts: [{part: finish, choice: -9}]}]}}",
        ["a.yaml:3:59: rules[0].stream.score.runs[0].parts[0].choice: expected integer >= 0, got -9"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {score: {runs: [{parts: [{part: piece, length: -1}]}]}}",
        ["a.yaml:3:58: rules[0].stream.score.runs[0].parts[0].length: expected integer >= 0, got -1"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {score: {runs: [{parts: [], times: 9000000}]}}",
        ["a.yaml:3:26: rules[0].stream.score.runs: 9,000,000 batches; at most 1,000,000 are allowed"],
    ),
    (
        "rules:\n- reply: {own: {mesages: {stop_sequence: END}}}",
        ["a.yaml:2:26: rules[0].reply.own.mesages: unknown API 'mesages'; allowed: <apis>; did you mean 'messages'?"],
    ),
    (
        "rules:\n- reply: {tool_calls: [{name: f, own: {y: {}}}]}",
        ["a.yaml:2:43: rules[0].reply.tool_calls[0].own.y: unknown API 'y'; allowed: <apis>"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {score: {runs: [{parts: [{part: open, value: {type: text, own: {x: {}}}}]}]}}",
        ["a.yaml:3:78: rules[0].stream.score.runs[0].parts[0].value.own.x: unknown API 'x'; allowed: <apis>"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {score: {runs: [{parts: [{part: finish, stop: {reason: stop, own: {x: {}}}}]}]}}",
        ["a.yaml:3:81: rules[0].stream.score.runs[0].parts[0].stop.own.x: unknown API 'x'; allowed: <apis>"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {score: {runs: [{parts: [{part: usage, usage: {own: {x: {}}}}]}]}}",
        ["a.yaml:3:67: rules[0].stream.score.runs[0].parts[0].usage.own.x: unknown API 'x'; allowed: <apis>"],
    ),
    (
        "rules:\n- reply: {choices: [{content: a, own: {x: {}}}]}",
        ["a.yaml:2:43: rules[0].reply.choices[0].own.x: unknown API 'x'; allowed: <apis>"],
    ),
    (
        "rules:\n- reply: {usage: {own: {gemeni: {}}}}",
        ["a.yaml:2:33: rules[0].reply.usage.own.gemeni: unknown API 'gemeni'; allowed: <apis>; did you mean 'gemini'?"],
    ),
    (
        "rules:\n- reply: {blocks: [{type: text, text: a, own: {chta: {}}}]}",
        ["a.yaml:2:54: rules[0].reply.blocks[0].own.chta: unknown API 'chta'; allowed: <apis>; did you mean 'chat'?"],
    ),
    (
        "rules:\n- {reply: {}, then: [{reply: {blocks: [{type: tool_call, name: f, own: {z: {}}}]}}]}",
        ["a.yaml:2:76: rules[0].then[0].reply.blocks[0].own.z: unknown API 'z'; allowed: <apis>"],
    ),
    (
        "rules:\n- reply: {blocks: [{type: opaque, api: response, value: {}}]}",
        [
            "a.yaml:2:40: rules[0].reply.blocks[0].api: unknown API 'response'; allowed: <apis>; "
            "did you mean 'responses'?"
        ],
    ),
    (
        "rules:\n- {when: {api: message}, reply: {}}",
        ["a.yaml:2:16: rules[0].when.api: 'message' is not one of <apis>; did you mean 'messages'?"],
    ),
    (
        "rules:\n- {reply: {}, when: {api: messages, user: a}, dialect: kimi}\n- {reply: {}, when: {api: messages}, dialect: xai}",
        [
            "a.yaml:3:3: rules[1].dialect: 'xai' is not a dialect of 'messages', the API of 'when'; allowed: "
            "anthropic, vertex, bedrock, deepseek, kimi, minimax, openrouter, zai; did you mean 'zai'?"
        ],
    ),
    (
        "rules:\n- {reply: {}, when: {api: completions}, dialect: openai}",
        ["a.yaml:2:3: rules[0].dialect: 'openai' is not a dialect of 'completions', the API of 'when', which has none"],
    ),
    (
        "rules:\n- reply: {blocks: [{type: text, own: {chat: {annotations: 5}}}]}",
        ["a.yaml:2:59: rules[0].reply.blocks[0].own.chat.annotations: expected an array of objects, got 5"],
    ),
    ("rules", ["a.yaml:1:1: expected object, got string"]),
    (
        "rules:\n- reply: {contnt: Hi}\n  stream: {paddding: 3}",
        [
            "a.yaml:2:11: rules[0].reply: unknown key 'contnt'; allowed here: <reply>; did you mean 'content'?",
            "a.yaml:3:12: rules[0].stream: unknown key 'paddding'; allowed here: <stream>; did you mean 'padding'?",
        ],
    ),
    (
        "rules:\n- reply: {content: yes}",
        ["a.yaml:2:20: rules[0].reply.content: expected string, got boolean; put it in quotes to make it text"],
    ),
    (
        "rules:\n- reply: {content: [x]}",
        ["a.yaml:2:20: rules[0].reply.content: expected string, got array; put the JSON in quotes: '[\"x\"]'"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {padding: -1}",
        ["a.yaml:3:21: rules[0].stream.padding: expected integer >= 0, got -1"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {padding: [{choices: none}]}",
        ["a.yaml:3:32: rules[0].stream.padding[0].choices: 'none' is not one of null, absent, true, false"],
    ),
    (
        "rules:\n- reply: {}\n  stream: {split: tokns}",
        [
            "a.yaml:3:19: rules[0].stream.split: 'tokns' is not one of whole, tokens, words, characters, random, surrogates, a number, an array, an object; did you mean 'tokens'?"
        ],
    ),
    (
        "rules:\n- reply: {}\n  stream: {split: {contents: tokens}}",
        [
            "a.yaml:3:30: rules[0].stream.split.contents: 'contents' is not a part of a reply; parts are content, reasoning, "
            "refusal, arguments, tool_calls[0].arguments, choices[1].content; did you mean 'content'?"
        ],
    ),
    (
        "rules:\n- reply: {}\n  stream: {ticks: [0]}",
        ["a.yaml:3:20: rules[0].stream.ticks[0]: expected integer >= 1, got 0"],
    ),
    ("rules:\n- reply: {}\n  when: {turn: 0}", ["a.yaml:3:16: rules[0].when.turn: expected integer >= 1, got 0"]),
    (
        "rules:\n- reply: {}\n  timing: {gap: soon}",
        ["a.yaml:3:17: rules[0].timing.gap: expected number | object, got string 'soon'; write a number"],
    ),
    (
        "dialect: xia\nrules: []",
        ["a.yaml:1:10: dialect: 'xia' is not one of <dialects>; did you mean 'xai'?"],
    ),
    (
        "rules:\n- reply: {generate: {}, reasoning: Hm}\n- reply: {generate: {sentences: 0}, choices: [{content: Hi}]}",
        [
            "a.yaml:2:36: rules[0].reply.reasoning: 'reasoning' beside 'generate': leave out one of them",
            "a.yaml:3:33: rules[1].reply.generate.sentences: expected integer >= 1, got 0",
        ],
    ),
    (
        "rules:\n- reply: {tool_calls: [{arguments: 3}]}",
        [
            "a.yaml:2:36: rules[0].reply.tool_calls[0].arguments: expected string | object, got integer; put it in quotes to make it text",
            "a.yaml:2:24: rules[0].reply.tool_calls[0]: the key 'name' is missing",
        ],
    ),
    ("rules: []\n5: x", ["a.yaml:2:1: a key must be text; put it in quotes"]),
    (
        "rules: *a",
        ["a.yaml:1:8: found undefined alias; a value that starts with * refers to an anchor; put the text in quotes"],
    ),
    (
        "rules: []\n---\nrules: []",
        ["a.yaml:2:1: a scenario file has one document; put what follows --- into a file of its own"],
    ),
    (
        "rules: [\x01]",
        ['a.yaml: unacceptable character #x0001: control characters are not allowed in "<unicode string>", position 8'],
    ),
    ("rules: " + "[" * 5000 + "]" * 5000, ["a.yaml:1:207: nested more than 200 levels deep"]),
    ("rules: " + "[" * 300_000, ["a.yaml:1:207: nested more than 200 levels deep"]),
    ("- " * 100_000, ["a.yaml:1:401: nested more than 200 levels deep"]),
    ("rules: !!float x", ["a.yaml:1:8: 'x' does not fit its tag !!float: could not convert string to float: 'x'"]),
    (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{k}: &{k} [{','.join(['*' + p] * 9)}]\n" for p, k in zip("abcdefgh", "bcdefghi", strict=True)),
        ["a.yaml:1:1: aliases expand this to 490,329,064 values; at most 5,000,000 are allowed"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_each_problem_is_reported(
    text: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load("a.yaml")
    reported = list(caught.value.problems)
    for name, words in LISTS.items():
        reported = [line.replace(words, name) for line in reported]
    assert reported == expected


def test_problems_between_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("more").mkdir()
    Path("a.yaml").write_text("include: [more]\nrules:\n- {when: {model: m}, reply: {}}\n- {reply: {}}")
    Path("more/b.yaml").write_text("rules:\n- {when: {turn: 2}, reply: {}}")
    Path("more/c.yaml").write_text("rules: []\ninclude: [../a.yaml, d.yaml]")
    with pytest.raises(ScenarioError) as caught:
        load("a.yaml")
    assert caught.value.problems == ("more/d.yaml: no such file or directory (included by more/c.yaml)",)
    Path("more/d.yaml").write_text("rules: []")
    with pytest.raises(ScenarioError) as caught:
        load("a.yaml")
    assert caught.value.problems == (
        "more/b.yaml:2:3: rules[0]: no request reaches this rule: the one at a.yaml:4:3 matches every request that it matches; "
        "put the more specific rule first, or list its replies in order under 'then'",
    )
    Path("a.yaml").write_text("include: [more]\nrules: []")
    assert [rule.name for rule in load("a.yaml").named_rules()] == ["scenario#1"]


def test_only_a_file_can_include_files() -> None:
    for source in ("include: [a.yaml]\nrules: []", {"include": ["a.yaml"], "rules": []}):
        with pytest.raises(ScenarioError, match=r"scenario: include: only a file can include others"):
            load(source)


def test_values_are_checked_like_files() -> None:
    with pytest.raises(
        ScenarioError, match=r"scenario: rules\[1\]: no request reaches this rule: the one at rules\[0\]"
    ):
        load([Rule(reply=Reply(content="a")), Rule(reply=Reply(content="b"))])


NULL = "null would leave the key unset; the option is the word, so put it in quotes: 'null'"


def null_options(hint: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of each key in a type that takes the word `null`; in a list or mapping, of its first item."""
    if get_origin(hint) is Literal and "null" in get_args(hint):
        yield path
    elif isinstance(hint, type) and issubclass(hint, Struct):
        for field in msgspec.structs.fields(hint):
            if field.encode_name not in path:  # types contain themselves
                yield from null_options(field.type, (*path, field.encode_name))
    elif get_origin(hint) is dict:
        key = next(iter(get_args(get_args(hint)[0])), "")
        yield from null_options(get_args(hint)[1], (*path, str(key)))
    elif get_origin(hint) is tuple:
        yield from null_options(get_args(hint)[0], (*path, "-"))
    else:
        for member in get_args(hint):
            yield from null_options(member, path)


NULL_OPTIONS = sorted(set(null_options(ScenarioFile)))


def test_there_are_options_that_are_the_word_null() -> None:
    keys = {path[-1] for path in NULL_OPTIONS}
    assert {"unfinished", "usage_before", "arguments", "id", "name", "type", "index", "role"} <= keys


@pytest.mark.parametrize("spelling", ["null", "~", "Null", ""])
@pytest.mark.parametrize("path", NULL_OPTIONS, ids=".".join)
def test_the_word_null_without_quotes_is_an_error_with_its_place(path: tuple[str, ...], spelling: str) -> None:
    def scenario(value: str) -> str:
        lines = [f"{'  ' * depth}{step}{'' if step == '-' else ':'}" for depth, step in enumerate(path)]
        lines[-1] += f" {value}"
        rules = path.index("-")
        replies = [f"{'  ' * (rules + 1)}reply: {{content: x}}"] if path[rules + 1] != "script" else []
        lines[rules + 1 : rules + 1] = replies
        for number, step in enumerate(path[rules + 1 :], rules + 1):
            if step == "-" and path[number - 1] in ("then", "script"):
                lines.insert(number + 1 + len(replies), f"{'  ' * (number + 1)}reply: {{content: x}}")
        return "\n".join(lines) + "\n"

    load(scenario("'null'"))
    with pytest.raises(ScenarioError) as caught:
        load(scenario(spelling))
    text = scenario(spelling).splitlines()
    place = f"scenario:{len(text)}:{len(text[-1]) - len(spelling) + 1}: "
    (problem,) = caught.value.problems
    assert problem.startswith(place) or not spelling  # an empty value stands after the colon
    assert "put it in quotes" in problem


def test_the_places_of_the_word_null_are_those_in_all_types() -> None:
    assert _null_places() == null_places(ScenarioFile)


def test_null_is_reported_with_other_problems_and_in_mappings() -> None:
    with pytest.raises(ScenarioError) as caught:
        load("rules:\n- {reply: {}, stream: {unfinished: null, calls: {id: ~}, role: never}, nam: x}")
    assert caught.value.problems[:2] == (
        f"scenario:2:36: rules[0].stream.unfinished: {NULL}",
        f"scenario:2:54: rules[0].stream.calls.id: {NULL}",
    )
    assert "unknown key 'nam'" in caught.value.problems[2]
    with pytest.raises(ScenarioError, match=r"rules\[0\].stream.usage_before: null would leave the key unset"):
        load({"rules": [{"reply": {}, "stream": {"usage_before": None}}]})


def structs(hint: Any, found: set[type[Struct]]) -> set[type[Struct]]:
    """The types of all values that a `hint` may have in it."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        if hint not in found:
            found.add(hint)
            for field in msgspec.structs.fields(hint):
                structs(field.type, found)
    else:
        for member in get_args(hint):
            structs(member, found)
    return found


def test_each_place_that_names_an_api_is_checked() -> None:
    """A new one belongs to `BAD` above, with a name that does not exist."""
    named = {kind.__name__ for kind in structs(ScenarioFile, set()) if {"own", "api"} & set(kind.__struct_fields__)}
    checked = {"Call", "ReplyChoice", "Reply", "Text", "Refusal", "Thinking", "CallBlock", "Usage", "Opaque", "When"}
    checked |= {"ToolCall", "Stop"}  # of a score
    assert named == checked
