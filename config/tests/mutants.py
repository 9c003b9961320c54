"""A plugin of pytest that breaks a module on purpose, one place at a time, and asks the tests whether they notice.

    python3 manage.py test -q -n 0 -p config.tests.mutants --mutate ledger/money.py --most 60 ledger/tests/test_money.py

The tests run once as they are, so that it is known which of them reach which line. Then each mutant lives in a fork of
this process, where the functions have got their changed code, and meets only the tests that reach its line. SQL is
changed too, and meets all the tests: that in the strings of a module, and a file of it (`credits/sql/spend.sql`), which
is installed anew for each mutant.

A test that draws a paper never ends in a fork, and one that has Saxon judge its XML falls over, since the threads of
both stay behind: leave them out by -k.
"""

import ast
import gc
import os
import random
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol
from django.db import connection, connections
from pytest_django.plugin import blocking_manager_key

SHORTEST_PATIENCE_SECONDS = 15
SWAPPED: dict[type[ast.AST], list[type[ast.AST]]] = {
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.FloorDiv],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.BitOr: [ast.BitAnd],
    ast.BitAnd: [ast.BitOr],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
    ast.USub: [ast.UAdd],
}
SWAPPED_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SWAPPED_SQL = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+", "=": "<>", "AND": "OR"}
_SQL_SIGN = re.compile(r"(?<= )(<=|>=|<|>|\+|-|=|AND)(?= )")
_SQL_QUESTION = re.compile(r"\b(WHERE|AND|OR|WHEN|IF|ON)\b")  # elsewhere `=` gives a value
_SQL_WORD = re.compile(r"\b(SELECT|FROM|WHERE|JOIN)\b")  # a string with one of these is SQL


@dataclass(frozen=True)
class Mutant:
    line: int
    text: str
    begin: Callable[[], None]  # in the fork
    end: Callable[[], None]  # in this process, afterwards
    is_sql: bool = False  # nobody counts which tests reach its line


def _nothing() -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mutants")
    group.addoption("--mutate", required=True, help="the module, a .py or .sql file")
    group.addoption("--most", type=int, default=60, help="so many mutants, drawn by --seed")
    group.addoption("--seed", type=int, default=1)
    group.addoption("--lines", default="", help="only those of these lines, such as 57,80")


def pytest_runtestloop(session: pytest.Session) -> bool:
    file = Path(session.config.option.mutate).resolve()
    reached, seconds = _run_unchanged(session.items, file)
    if _is_noticed(Mutant(0, "", _nothing, _nothing), session.items, seconds):
        raise pytest.UsageError("The tests fail in a fork without any mutant, so that they would notice all of them.")
    found = list(_of_sql(file, session.config) if file.suffix == ".sql" else _of_python(file))
    if lines := {int(line) for line in session.config.option.lines.split(",") if line}:
        found = [each for each in found if each.line in lines]
    chance = random.Random(session.config.option.seed)  # noqa: S311 - a draw that can be repeated
    drawn = chance.sample(found, min(session.config.option.most, len(found)))
    survivors = 0
    for number, mutant in enumerate(sorted(drawn, key=lambda each: each.line), 1):
        items = session.items if mutant.is_sql else reached.get(mutant.line, [])
        if not items or not _is_noticed(mutant, sorted(items, key=lambda item: seconds[item.nodeid]), seconds):
            survivors += 1
            where = f"{file.name}:{mutant.line}" if items else f"{file.name}:{mutant.line} [no test gets here]"
            # At once: a run that is cut short has said what it knew.
            sys.stdout.write(f"\n{number}/{len(drawn)} {where}: {mutant.text}")
            sys.stdout.flush()
    noticed = f"{len(drawn) - survivors} of {len(drawn)} noticed, of {len(found)} possible"
    sys.stdout.write(f"\n{file.name}: {noticed}; above are those that were not.\n")
    return True


def _run_unchanged(items: list[pytest.Item], file: Path) -> tuple[dict[int, list[pytest.Item]], dict[str, float]]:
    """The tests that reach each line, and how long each test takes."""
    measured = coverage.Coverage(data_file=None, include=[str(file)], config_file=False)
    measured.start()
    seconds = {}
    for item in items:
        measured.switch_context(item.nodeid)
        began = time.monotonic()
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=item.session)):  # type: ignore[arg-type]
            raise pytest.UsageError(f"{item.nodeid} fails without any mutant.")
        seconds[item.nodeid] = time.monotonic() - began
    measured.stop()
    if file.suffix == ".sql":
        return {}, seconds  # it runs in the database, where nobody counts its lines
    by_name = {item.nodeid: item for item in items}
    contexts = measured.get_data().contexts_by_lineno(str(file))
    return {line: [by_name[name] for name in names if name in by_name] for line, names in contexts.items()}, seconds


def _is_noticed(mutant: Mutant, items: list[pytest.Item], seconds: dict[str, float]) -> bool:
    """A mutant that never comes to an end is noticed too; what it left in the database is taken away."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        os._exit(_meet(mutant, items))
    over = os.pidfd_open(child)  # readable once the child has ended
    patience = max(SHORTEST_PATIENCE_SECONDS, 5 * sum(seconds[item.nodeid] for item in items))
    is_over = bool(select.select([over], [], [], patience)[0])
    os.close(over)
    if not is_over:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not is_over:
        with _database(items[0].config):
            connection.ops.sql_flush(None, [])  # type: ignore[arg-type]
    mutant.end()
    return status != 0


def _meet(mutant: Mutant, items: list[pytest.Item]) -> int:
    try:
        mutant.begin()
        for item in items:
            item._initrequest()  # type: ignore[attr-defined] # as every plugin that runs a test again does
            reports = runtestprotocol(item, log=False, nextitem=item.session)  # type: ignore[arg-type]
            if any(report.failed for report in reports):
                if not mutant.text:
                    sys.stdout.write(f"\n{item.nodeid} fails in a fork; leave it out by -k or mend it.")
                    sys.stdout.flush()
                return 1
    except BaseException:  # noqa: BLE001 - whatever it is, it was noticed
        return 1
    return 0


@contextmanager
def _database(config: pytest.Config) -> Iterator[None]:
    with config.stash[blocking_manager_key].unblock():
        yield
        connections.close_all()  # no connection goes through a fork


# ---------------------------------------------------------------- Python


def _of_python(file: Path) -> Iterator[Mutant]:
    tree = ast.parse(file.read_text())
    for node in (node for function in _functions(tree) for part in function.body for node in _within(part)):
        for field, value in _changes(node):
            before, usual = _words(node), getattr(node, field)
            setattr(node, field, value)
            after = _words(node)
            code = compile(ast.fix_missing_locations(tree), str(file), "exec", dont_inherit=True)
            setattr(node, field, usual)
            yield Mutant(node.lineno, f"{before}  →  {after}", _putting(file, code), _nothing)  # type: ignore[attr-defined]

    yield from _of_strings(file, tree)


def _of_strings(file: Path, tree: ast.Module) -> Iterator[Mutant]:
    """SQL in the functions' strings, and in those of the module, out of which it may make others."""
    explained = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    names = ast.Module([part for part in tree.body if isinstance(part, (ast.Assign, ast.AnnAssign))], [])
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(usual)) if _SQL_WORD.search(usual) and id(node) not in explained:
                for line, text, changed in _changed_sql(usual):
                    node.value = changed
                    code = compile(tree, str(file), "exec", dont_inherit=True)
                    named = compile(names, str(file), "exec", dont_inherit=True)
                    node.value = usual
                    yield Mutant(node.lineno + line, text, _putting(file, code, named), _nothing, is_sql=True)


def _functions(parent: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef]:
    for node in parent.body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node)


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it that runs: annotations do not."""
    yield node
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns", "args" if isinstance(node, ast.FunctionDef) else "annotation"):
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from _within(each)


def _words(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    match node:
        case ast.Compare(ops=[only]):
            yield from (("ops", [other()]) for other in SWAPPED.get(type(only), []))
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
            yield from (("op", other()) for other in SWAPPED.get(type(node.op), []))
        case ast.UnaryOp(op=ast.Not()):
            yield "operand", ast.UnaryOp(ast.Not(), node.operand)
        case ast.UnaryOp(op=ast.USub()):
            yield "op", ast.UAdd()
        case ast.Constant(value=bool()):
            yield "value", not node.value
        case ast.Constant(value=int(number)):
            yield from (("value", number + step) for step in (1, -1))
        case ast.Return(value=value) if value is not None and ast.unparse(value) != "None":
            yield "value", ast.Constant(None)
        case ast.If() | ast.IfExp() if not isinstance(node.test, (ast.Compare, ast.UnaryOp)):  # those change themselves
            yield "test", ast.UnaryOp(ast.Not(), node.test)
        case ast.Call(func=ast.Name(id=name)) if name in SWAPPED_NAMES:
            yield "func", ast.Name(SWAPPED_NAMES[name], ast.Load())
        case ast.Expr(value=ast.Call(func=called)) if not ast.unparse(called).startswith("logger."):
            yield "value", ast.Constant(None)


def _putting(file: Path, module: CodeType, names: CodeType | None = None) -> Callable[[], None]:
    """Give the functions that exist already their new code: whoever holds one of them holds the mutant."""

    def begin() -> None:
        gc.unfreeze()  # what Tirelire keeps from its collector is not listed either
        new = {(code.co_qualname, code.co_firstlineno): code for code in _codes(module)}
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and each.__code__.co_filename == str(file):
                code = new.get((each.__code__.co_qualname, each.__code__.co_firstlineno))
                if code is not None and code.co_freevars == each.__code__.co_freevars:
                    each.__code__ = code
        if names is not None:
            known = next(vars(each) for each in sys.modules.values() if getattr(each, "__file__", "") == str(file))
            exec(names, fresh := dict(known))  # noqa: S102 - the module's own lines
            known |= {
                name: value for name, value in fresh.items() if isinstance(value, (str, dict)) and name[:2] != "__"
            }

    return begin


def _codes(code: CodeType) -> Iterator[CodeType]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner
            yield from _codes(inner)


# ---------------------------------------------------------------- SQL


def _of_sql(file: Path, config: pytest.Config) -> Iterator[Mutant]:
    usual = file.read_text()
    for line, text, changed in _changed_sql(usual):
        yield Mutant(line + 1, text, partial(_install, config, changed), partial(_install, config, usual), is_sql=True)


def _changed_sql(usual: str) -> Iterator[tuple[int, str, str]]:
    """Each change of some SQL: how many lines go before it, what it is in words, and all of it with the change."""
    begun = 0
    for number, line in enumerate(usual.splitlines(keepends=True)):
        for found in _SQL_SIGN.finditer(line.partition("--")[0]):
            if found[0] == "=" and not _SQL_QUESTION.search(line[: found.start()]):
                continue
            start, end = begun + found.start(), begun + found.end()
            changed = usual[:start] + SWAPPED_SQL[found[0]] + usual[end:]
            yield number, f"{found[0]} → {SWAPPED_SQL[found[0]]}  in  {line.strip()}", changed
        begun += len(line)


def _install(config: pytest.Config, text: str) -> None:
    with _database(config), connection.cursor() as cursor:
        cursor.execute(text)
