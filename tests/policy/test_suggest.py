"""Rules proposed for new tools: redacted by default, examples with made-up values, and a file that loads once they are pasted."""

from __future__ import annotations

import enum
import types
from dataclasses import dataclass
from typing import ClassVar, Literal, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict

from phi_guard import load_policy
from phi_guard.policy.suggest import NoRoom, Seen, pasted, propose, read_calls, read_tools, spell_proposal

SECRET = "Zephyrine Quill"


class Answer(TypedDict):
    """What a tool gives back."""

    covered: bool
    plan: Literal["basic", "full"]


@dataclass
class Slot:
    """Likewise."""

    at: str
    free: bool


class Reply(BaseModel):
    """Likewise, as a pydantic model."""

    model_config: ClassVar[ConfigDict] = ConfigDict()
    covered: bool
    text: str


class Size(enum.Enum):
    """Of something."""

    SMALL = "small"
    LARGE = "large"


@pytest.fixture
def paste(tmp_path, text, walk):
    """Propose for a tool, paste, load: the policy and the file's text."""

    def done(seen):
        path = tmp_path / "p.yaml"
        path.write_text(text)
        after = pasted(text, propose(load_policy(path), seen, walk))
        path.write_text(after)
        return load_policy(path), after

    return done


def seen(tool="look", inputs=(), outputs=()):
    return Seen(tool, dict.fromkeys(inputs, ""), dict.fromkeys(outputs, ""))


def test_what_is_pasted_loads_and_redacts_what_is_new(paste):
    """New fields are redacted, known ones keep their rule, and every comment of the file is still there."""
    policy, after = paste(seen(inputs=["name", "member_number", "at"], outputs=["code", "verdict"]))
    assert {name: policy.fields[name].action for name in ("member_number", "verdict")} == {"member_number": "redact", "verdict": "redact"}
    assert policy.fields["member_number"].safe_harbor == 9
    assert policy.fields["at"].action == "keep"
    assert policy.tools["look"].inputs == {"name", "member_number", "at"}
    assert "prod: {fields: {story: {action: drop}}}" in after


@pytest.mark.parametrize(
    "tool",
    [
        seen(inputs=["patient_name", "phone_number", "birth_date", "user_id", "note"]),
        seen(outputs=["result"]),
        seen(inputs=["NAME", "Phone"], outputs=["At"]),
        seen(inputs=["contact", "story", "age"]),
        seen(inputs=["x"] * 1, outputs=["x"]),
        seen(),
    ],
)
def test_any_tool_can_be_pasted(paste, tool):
    """Whatever its fields are called, the file loads; a field that is known under another spelling is not named twice."""
    policy, _ = paste(tool)
    assert "look" in policy.tools
    assert "NAME" not in policy.fields


def test_a_field_that_gets_a_pseudonym_can_be_shown(tmp_path, text, walk, monkeypatch):
    """Its tag is another with every key: the example says only that it is one."""
    monkeypatch.setenv("PHI_GUARD_PSEUDONYM_KEY", bytes(range(32)).hex())
    path = tmp_path / "p.yaml"
    changes = {
        "phone: {action: redact,": "phone: {action: pseudonym,",
        "phone: <REDACTED>": "phone: <PSEUDONYM>",
        "[name, phone]": "[name]",
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    path.write_text(text)
    after = pasted(path.read_text(), propose(load_policy(path), seen(inputs=["phone"]), walk))
    path.write_text(after)
    monkeypatch.setenv("PHI_GUARD_PSEUDONYM_KEY", bytes(range(32, 64)).hex())
    assert load_policy(path).tools["look"].inputs == {"phone"}


def test_two_tools_one_after_the_other(tmp_path, text, walk):
    """The second knows the first one's fields."""
    path = tmp_path / "p.yaml"
    path.write_text(text)
    for tool in (seen("one", ["insurance"]), seen("two", ["insurance"], ["result"])):
        path.write_text(pasted(path.read_text(), propose(load_policy(path), tool, walk)))
    assert load_policy(path).tools.keys() == {"book", "one", "two"}


def test_values_that_were_read_are_never_written(made, walk):
    """Names come from the calls, values do not; a key that may be a name or number is counted and left out."""
    calls = [
        {"tool": "look", "inputs": {"caller": SECRET, SECRET: 1, "c0791234567": 2}, "outputs": {"found": {"plan": SECRET}}},
        {"name": "tool.look", "inputs": {"<REDACTED_KEY_1>": "<REDACTED>"}, "outputs": SECRET},
        {"name": "session.start", "inputs": {"other": 1}},
        {"name": "tool.unknown", "inputs": {}},
    ]
    (found,) = read_calls(calls)
    proposal = propose(made(), found, walk)
    told = "\n".join(spell_proposal(proposal))
    assert SECRET not in told
    assert "Zephyrine" not in told
    assert "0791234567" not in told
    assert proposal.nameless == 2
    assert proposal.row == ("  look:", "    inputs: [caller]", "    outputs: [found, result]")


def test_a_keep_is_only_ever_a_comment(made, walk):
    """A flag and a closed list are offered behind the #; the rule is redact."""
    proposal = propose(made(), Seen("look", {"urgent": "flag"}, {"plan": '{in: ["basic"]}'}), walk)
    for line in proposal.fields:
        rule, _, comment = line.partition(" # ")
        assert rule.endswith("{action: redact}")
        assert "action: keep" in comment


def test_a_tool_that_is_known_gets_only_what_is_new(made, walk):
    """Nothing where nothing is new; else its whole row, to put in place of the old one, which is not done by itself."""
    policy = made()
    assert propose(policy, seen("book", ["name", "at"], ["code"]), walk) is None
    more = propose(policy, seen("book", ["name", "visit_kind"], ["code"]), walk)
    assert more.replaces == 15
    assert more.fields == ("  visit_kind: {action: redact}",)
    assert "age" in more.row[1]
    with pytest.raises(NoRoom, match="line 15"):
        pasted("", more)


def test_a_file_without_block_sections_is_not_pasted_into(made, walk):
    """A flow mapping has no end to paste at."""
    proposal = propose(made(), seen(inputs=["fresh"]), walk)
    with pytest.raises(NoRoom, match="fields"):
        pasted("fields: {name: {action: redact}}\n", proposal)


@pytest.fixture
def agent_module():
    """A module with function tools as an author writes them: at the top, in an Agent, and by a raw schema."""
    pytest.importorskip("livekit.agents")
    from livekit.agents import Agent, RunContext, function_tool

    @function_tool
    async def check_cover(context: RunContext, member_number: str, urgent: bool, size: Size = Size.SMALL) -> Answer:
        """Check."""

    @function_tool(raw_schema={"name": "ring", "parameters": {"type": "object", "properties": {"phone": {"type": "string"}}}})
    async def raw(raw_arguments: dict[str, object]) -> str:
        """Ring."""

    class Desk(Agent):
        @function_tool(name="find_slot")
        async def found(self, doctor: str) -> Slot:
            """Find."""

        def helper(self, nothing: str) -> None: ...

    @function_tool
    async def reply() -> Reply:
        """Reply."""

    module = types.ModuleType("my_tools")
    module.reply, module.check_cover, module.raw, module.Desk, module.Agent = reply, check_cover, raw, Desk, Agent
    return module


def test_livekit_tools_are_read_from_their_signatures(agent_module):
    """Names, shapes that types give, and what is given back; no context, no helper."""
    found = {tool.tool: tool for tool in read_tools(agent_module)}
    assert found.keys() == {"check_cover", "ring", "find_slot", "reply"}
    assert found["check_cover"].inputs == {"member_number": "", "urgent": "flag", "size": '{in: ["small", "large"]}'}
    assert found["check_cover"].outputs == {"covered": "flag", "plan": '{in: ["basic", "full"]}'}
    assert (found["reply"].inputs, found["reply"].outputs) == ({}, {"covered": "flag", "text": ""})
    assert (found["ring"].inputs, found["ring"].outputs) == ({"phone": ""}, {"result": ""})
    assert (found["find_slot"].inputs, found["find_slot"].outputs) == ({"doctor": ""}, {"at": "", "free": "flag"})


def test_tools_of_a_module_can_be_pasted_and_load(agent_module, paste):
    """Each of them."""
    for tool in read_tools(agent_module):
        assert tool.tool in paste(tool)[0].tools
