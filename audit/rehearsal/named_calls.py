"""What a file calls, and whether that runs at all: a function that nothing names is as good as a comment."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def find_calls(tree: ast.AST) -> Iterator[tuple[ast.Call, frozenset[str]]]:
    """Every call, with the names of the functions around it that only run if something names them."""
    stack: list[tuple[ast.AST, frozenset[str]]] = [(tree, frozenset())]
    while stack:
        inner, around = stack.pop()
        if isinstance(inner, ast.Call):
            yield inner, around
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            given = {arg.arg for arg in inner.args.args} | {ast.unparse(arg.annotation) for arg in inner.args.args if arg.annotation}
            # LiveKit calls what takes a job's context, and whoever decorates a function knows it.
            if not inner.decorator_list and not given & {"ctx", "JobContext", "job_ctx"}:
                around = around | {inner.name}
        stack += [(child, around) for child in ast.iter_child_nodes(inner)]


def find_names(node: ast.AST) -> Iterator[str]:
    """The names that a node mentions without assigning them."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
