"""What a test finds on `self`, as names of its own."""

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass

from patchwright.evals.forge.test_code import function_in


class Unsuitable(Exception):
    """The test does something that no plain program would."""


@dataclass(frozen=True)
class Members:
    """The class's plain attributes, then what its setUp does."""

    statements: tuple[ast.stmt, ...]
    names: frozenset[str]

    @classmethod
    def of(cls, owner: ast.ClassDef | None) -> "Members":
        body = owner.body if owner else []
        plain = [each for each in body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)]
        prepared = [function_in(body, name) for name in ("setUp", "setup_method")]
        statements = [*plain, *(each for function in prepared if function for each in function.body)]
        names = {target.id for each in plain for target in each.targets if isinstance(target, ast.Name)}
        names |= _set_on_self(statements)
        return cls(tuple(_plain(each, names) for each in statements), frozenset(names))

    def plain(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """The statements with these attributes of `self` as names; what they set on it themselves, too."""
        names = self.names | _set_on_self(body)
        return [_plain(each, names) for each in body]


class _Unselfed(ast.NodeTransformer):
    def __init__(self, names: set[str] | frozenset[str]) -> None:
        self._names = names

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        on_self = isinstance(node.value, ast.Name) and node.value.id == "self"
        return ast.copy_location(ast.Name(node.attr, node.ctx), node) if on_self and node.attr in self._names else node


def _plain(statement: ast.stmt, names: set[str] | frozenset[str]) -> ast.stmt:
    return _Unselfed(names).visit(copy.deepcopy(statement))


def _set_on_self(statements: Sequence[ast.stmt]) -> set[str]:
    attributes = (node for each in statements for node in ast.walk(each) if isinstance(node, ast.Attribute))
    return {
        node.attr
        for node in attributes
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
