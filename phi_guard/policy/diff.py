"""What a changed policy sends that the old one did not, change by change: weaker, stronger, mixed or different.

A rule is compared part by part by what it may send. The order, most first::

    scan ─ truncate ─ (fewer chars) ─┐
    keep ─ (a narrower shape) ───────┼─ redact (a marker) ─ drop (nothing)
    generalise, pseudonym ───────────┘

What cannot be compared (``keep`` with ``scan``, one pattern with another) is ``mixed``, and whoever forbids ``weaker`` forbids it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from phi_guard.policy.compiled import Moment, Number, OneOf, Policy, Rule, Shape, Side
from phi_guard.policy.explain import decide, parse_path, spell_shape
from phi_guard.policy.paths import Path, around, spelt
from phi_guard.policy.proof import SIDES, ruled

Kind: TypeAlias = Literal["weaker", "stronger", "mixed", "different"]
ENVIRONMENTS: Final = ("", "dev", "prod")
_BLIND: Final = {"drop": 0, "redact": 1}
_FREE: Final = frozenset({"scan", "truncate"})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two policies.

    Args:
        kind: ``weaker`` more may be sent, ``stronger`` less, ``mixed`` some of each or it cannot be compared, ``different`` neither.
        env: the environment in which it differs so, empty for the rules without an overlay.
        path: the place in the file, such as ``fields.phone`` or ``tools.book_appointment.inputs``.
        what: the change, in words.
        old_line: where the old file says so, 0 where it says nothing.
        new_line: likewise in the new file.
        old_file: the file that says so, where it is not the policy's own but one that it extends; likewise ``new_file``.
    """

    kind: Kind
    env: str
    path: str
    what: str
    old_line: int
    new_line: int
    old_file: str = ""
    new_file: str = ""


def compare(old: dict[str, Policy], new: dict[str, Policy]) -> tuple[Change, ...]:
    """Every difference between two policies, each told once: an overlay's only where it differs from the base's own.

    Args:
        old: the old file, loaded for one or more of `ENVIRONMENTS`, by environment.
        new: the new file, for the same environments.
    """
    told: dict[tuple[str, str], Change] = {}
    for env in (env for env in ENVIRONMENTS if env in old):
        for change in _changes(old[env], new[env], env):
            base = told.get(("", change.path))
            if base is None or replace(base, env=env, old_line=change.old_line, new_line=change.new_line) != change:
                told[env, change.path] = change
    return tuple(told.values())


def _changes(old: Policy, new: Policy, env: str) -> Iterator[Change]:
    if kind := strength(old.default, new.default):
        yield Change(kind, env, "default", f"{old.default.action} -> {new.default.action}", 0, 0)
    for name in {**old.fields, **new.fields}:
        before, after = old.fields.get(name), new.fields.get(name)
        if kind := strength(before or old.default, after or new.default):
            what = "; ".join(_words(before, after))
            yield _told(kind, env, f"fields.{name}", what, before, after)
            if kind == "stronger" and before is not None and before.action not in _BLIND:
                yield from _freed(name, old, new, env)
    for alias in {**old.aliases, **new.aliases}:
        was, is_ = (policy.fields.get(policy.aliases.get(alias, ""), policy.default) for policy in (old, new))
        if old.aliases.get(alias) != new.aliases.get(alias) and (kind := strength(was, is_)):
            moved = alias in old.aliases and alias in new.aliases
            what = "an alias means another field" if moved else "an alias is added" if alias in new.aliases else "an alias is gone"
            name = new.aliases.get(alias) or old.aliases[alias]
            yield _told(kind, env, f"fields.{name}.aliases.{alias}", what, was, is_)
    for name in {**old.tools, **new.tools}:
        yield from _tool(name, old, new, env)


def _told(kind: Kind, env: str, path: str, what: str, old: Rule | None, new: Rule | None) -> Change:
    lines = (old.line if old else 0, new.line if new else 0)
    return Change(kind, env, path, what, *lines, old.file if old else "", new.file if new else "")


def _freed(name: str, old: Policy, new: Policy, env: str) -> Iterator[Change]:
    """The fields that are kept unless this one is sent: where it is sent less, they are sent more."""
    for waiting in new.fields.values():
        before = old.fields.get(waiting.field)
        if before is not None and name in waiting.unless_sent & before.unless_sent:
            what = f"is sent where it was not, since it waits for {name}, which is sent less"
            yield _told("weaker", env, f"fields.{waiting.field}.unless_sent.{name}", what, before, waiting)


def strength(old: Rule, new: Rule) -> Kind | None:
    """What changing one rule into another does to what may be sent; None where the rules say the same.

    An unknown field, under the default rule, loses its name as well; a rule of the policy's own is not weaker for giving the name.
    """
    if replace(new, line=old.line, field=old.field, file=old.file) == old:
        return None if new.field == old.field else "different"
    return _sum(_parts(old, new))


def _sum(kinds: Iterator[Kind]) -> Kind:
    found = set(kinds) - {"different"}
    if len(found) > 1:
        return "mixed"
    return found.pop() if found else "different"


def _parts(old: Rule, new: Rule) -> Iterator[Kind]:
    """The strength of each part in which two rules differ."""
    before, after = _BLIND.get(old.action, 2), _BLIND.get(new.action, 2)
    if before < 2 or after < 2:
        if before != after:
            yield "weaker" if after > before else "stronger"
        return
    if {old.action, new.action} <= _FREE:
        if old.action != new.action:
            yield "stronger" if new.action == "truncate" else "weaker"
        elif old.chars != new.chars:
            yield "weaker" if new.chars > old.chars else "stronger"
    elif old.action != new.action or old.to != new.to:
        yield "mixed"
    yield from _sets(old.unless_sent, new.unless_sent, more="stronger", fewer="weaker")
    yield from _sets(old.allow_entities, new.allow_entities, more="weaker", fewer="stronger")
    yield from _sets(old.safe_values, new.safe_values, more="weaker", fewer="stronger")
    if old.action == new.action and old.shape != new.shape:
        yield _shapes(old.shape, new.shape)


def _sets(old: frozenset[str], new: frozenset[str], *, more: Kind, fewer: Kind) -> Iterator[Kind]:
    if new - old:
        yield more
    if old - new:
        yield fewer


def _shapes(old: Shape | None, new: Shape | None) -> Kind:
    """Whether one shape fits everything another fits; patterns are not compared, since that cannot be decided for all of them."""
    if _within(new, old):
        return "stronger"
    return "weaker" if _within(old, new) else "mixed"


def _within(inner: Shape | None, outer: Shape | None) -> bool:
    """Whether every value that fits one shape is known to fit another."""
    match inner, outer:
        case None, _:
            return True  # a keep without a shape keeps nothing
        case OneOf(values=values), _ if outer is not None:
            return all(outer.fits(value) for value in values)
        case Moment(time_too=False), Moment():
            return True
        case Number(low=low, high=high), Number():
            return outer.low <= low and high <= outer.high
    return False


def _words(old: Rule | None, new: Rule | None) -> Iterator[str]:
    """In what two rules differ."""
    if old is None or new is None:
        rule = new or old
        assert rule is not None  # noqa: S101  # one of two names is in one of two files
        yield f"{'added' if old is None else 'removed'}: {rule.action}{f' {spell_shape(rule.shape)}' if rule.shape else ''}"
        return
    if old.action != new.action:
        yield f"{old.action} -> {new.action}"
    if old.shape != new.shape and old.shape is not None and new.shape is not None:
        if isinstance(old.shape, OneOf) and isinstance(new.shape, OneOf):
            yield from _gained("the list", old.shape.values, new.shape.values)
        else:
            yield f"shape: {spell_shape(old.shape)} -> {spell_shape(new.shape)}"
    elif new.shape is not None and old.shape is None:
        yield f"shape: {spell_shape(new.shape)}"
    if old.chars != new.chars and old.chars and new.chars:
        yield f"chars: {old.chars} -> {new.chars}"
    if old.to != new.to:
        yield f"to: {old.to or 'nothing'} -> {new.to or 'nothing'}"
    yield from _gained("unless_sent", old.unless_sent, new.unless_sent)
    yield from _gained("allow_entities", old.allow_entities, new.allow_entities)
    yield from _gained("safe_values", old.safe_values, new.safe_values)
    if old.safe_harbor != new.safe_harbor:
        yield f"safe_harbor: {old.safe_harbor or 'none'} -> {new.safe_harbor or 'none'}"


def _gained(what: str, old: frozenset[str], new: frozenset[str]) -> Iterator[str]:
    if new - old:
        yield f"{what} gains {', '.join(sorted(new - old))}"
    if old - new:
        yield f"{what} loses {', '.join(sorted(old - new))}"


def _tool(name: str, old: Policy, new: Policy, env: str) -> Iterator[Change]:
    before, after = old.tools.get(name), new.tools.get(name)
    lines = (before.line if before else 0, after.line if after else 0)
    if before is None or after is None:
        policy, rules = (new, after) if after is not None else (old, before)
        assert rules is not None  # noqa: S101  # one of two names is in one of two files
        sent = sorted({field for side in SIDES for field in rules.side(side) if _sends(policy.fields.get(field, policy.default))})
        sent += [path for path, rule in ruled(rules) if _sends(rule)] + _walked_into(name, None, policy)
        kind: Kind = "different" if not sent else "weaker" if before is None else "stronger"
        fields = f"{'now' if before is None else 'no longer'} sent of its calls: {', '.join(sent)}" if sent else "it sends no value"
        yield Change(kind, env, f"tools.{name}", f"{'added' if before is None else 'removed'}; {fields}", *lines)
        return
    for side in SIDES:
        for field in sorted(before.side(side) ^ after.side(side)):
            yield _listing(name, side, field, old, new, env)
    for path in _walked_into(name, old, new):
        what = "is walked into where it went whole: fields below it are sent by their own rules"
        yield Change("weaker", env, f"tools.{name}.rules: below {path}", what, *lines)
    for path in _walked_into(name, new, old):
        yield Change("stronger", env, f"tools.{name}.rules: below {path}", "is walked into no longer: it goes whole", *lines)
    for path in dict.fromkeys(path for rules in (before, after) for path, _ in ruled(rules)):
        place = parse_path(path)
        was, is_ = decide(old, name, place).rule, decide(new, name, place).rule
        if kind_ := strength(was, is_):
            yield Change(
                kind_, env, f"tools.{name}.rules: {path}", "; ".join(_words(was, is_)) or "another rule decides", was.line, is_.line
            )


def _listing(tool: str, side: Side, field: str, old: Policy, new: Policy, env: str) -> Change:
    """A field that a tool names now, or no longer."""
    before, after = old.tools[tool], new.tools[tool]
    added = field in after.side(side)
    rule = (new.fields if added else old.fields).get(field, new.default if added else old.default)
    kind: Kind = "different"
    what = f"{'gains' if added else 'loses'} {field} ({rule.action})"
    if _sends(rule):
        kind = "weaker" if added else "stronger"
        waiting = [name for each in SIDES for name in after.side(each) if field in new.fields.get(name, new.default).unless_sent]
        if waiting and not added:
            kind, what = "mixed", f"{what}; {', '.join(sorted(set(waiting)))} waited for it and is sent now"
    elif not added and any(_action(old, name) in _FREE for each in SIDES for name in before.side(each)):
        # An unknown field's value is learnt only in part, so that less of it is found in free text.
        kind, what = "weaker", f"{what}: its value is now taken out of the call's free text in part only"
    return Change(kind, env, f"tools.{tool}.{side}.{field}", what, before.line, after.line)


def _walked_into(tool: str, old: Policy | None, new: Policy) -> list[str]:
    """The places on the way to a tool's own rules that the new policy walks into and the old one does not, where any field is sent."""
    if not any(map(_sends, new.fields.values())):
        return []
    places = dict.fromkeys(place for path, _ in ruled(new.tools[tool]) for place in around(parse_path(path)))
    return [spelt(place) for place in places if _walks(new, tool, place) and not (old is not None and _walks(old, tool, place))]


def _walks(policy: Policy, tool: str, place: Path) -> bool:
    step = policy.at(tool, *place)
    return step is not None and step.walks


def _action(policy: Policy, field: str) -> str:
    return policy.fields.get(field, policy.default).action


def _sends(rule: Rule) -> bool:
    """Whether anything made of a value may be sent under a rule."""
    return rule.action not in _BLIND
