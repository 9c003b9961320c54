"""Migrations applied in batches: Django renders the models anew for every operation, here once for a run of them.

On a fresh database that is nearly all of the time that `migrate` takes: dj-stripe's two first migrations alone are 600
operations. What reaches the database is the same; `manage.py check_migration_batches` compares the two schemas.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.db import connection, migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

# Operations of one kind that may share their two states: each reads its model from one of them and nothing else.
# A subclass may do more than its parent, so only these very classes count.
KINDS: dict[type[Operation], str] = {
    migrations.AddField: "fields come",
    migrations.RemoveField: "fields go",
    migrations.AddIndex: "rules come",
    migrations.AddConstraint: "rules come",
    migrations.RemoveIndex: "rules go",
    migrations.RemoveConstraint: "rules go",
}
# What a model that this very batch creates is created with.
INTO_A_NEW_MODEL = (migrations.AddField, migrations.AddIndex, migrations.AddConstraint)

usual_apply = Migration.apply


class Batch:
    """Operations that share a state before and a state after."""

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations
        self.created = {each.name_lower for each in operations if type(each) is migrations.CreateModel}

    @property
    def touched(self) -> set[str]:
        return {model_of(each) for each in self.operations}

    @property
    def only_rules(self) -> bool:
        return all(KINDS.get(type(each), "").startswith("rules") for each in self.operations)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        apps = state.__dict__.pop("apps", None)  # without rendered models each change is an edit of a dict
        for operation in self.operations:
            operation.state_forwards(app_label, state)
        if apps is not None:
            state.__dict__["apps"] = apps
            state.reload_models([(app_label, name) for name in sorted(self.touched)], delay=self.only_rules)

    def database_forwards(
        self, app_label: str, editor: BaseDatabaseSchemaEditor, before: ProjectState, after: ProjectState
    ) -> None:
        for operation in self.operations:
            if type(operation) is migrations.CreateModel or model_of(operation) not in self.created:
                operation.database_forwards(app_label, editor, before, after)


def model_of(operation: Any) -> str:
    name: str = operation.name_lower if type(operation) is migrations.CreateModel else operation.model_name.lower()
    return name


def batches(operations: Sequence[Operation]) -> Iterator[Batch | Operation]:
    for is_creation, run in groupby(creations_marked(operations), key=lambda pair: pair[0]):
        together = [operation for _, operation in run]
        if is_creation:
            yield Batch(together)
            continue
        for kind, alike in groupby(together, key=lambda each: KINDS.get(type(each))):
            if kind is None:
                yield from alike
            else:
                yield Batch(list(alike))


def creations_marked(operations: Sequence[Operation]) -> Iterator[tuple[bool, Operation]]:
    """Whether each operation creates a model, or adds to one that was created since the last that does neither."""
    created: set[str] = set()
    for operation in operations:
        if type(operation) is migrations.CreateModel:
            created.add(operation.name_lower)
            yield True, operation
        elif type(operation) in INTO_A_NEW_MODEL and model_of(operation) in created:
            yield True, operation
        else:
            created.clear()
            yield False, operation


def apply_in_batches(
    migration: Migration, project_state: ProjectState, schema_editor: Any, collect_sql: bool = False
) -> ProjectState:
    if collect_sql or not (migration.atomic and schema_editor.atomic_migration):
        return usual_apply(migration, project_state, schema_editor, collect_sql)
    for step in batches(migration.operations):
        take(step, migration.app_label, project_state, schema_editor)
    return project_state


def take(step: "Batch | Operation", app_label: str, state: ProjectState, editor: BaseDatabaseSchemaEditor) -> None:
    before = state.clone()
    step.state_forwards(app_label, state)
    step.database_forwards(app_label, editor, before, state)


@contextlib.contextmanager
def batched() -> Iterator[None]:
    """Django offers no other place: its executor calls the method of each migration."""
    Migration.apply = apply_in_batches  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Migration.apply = usual_apply  # type: ignore[method-assign]


def sql_of(wanted: Callable[[Migration], bool]) -> Iterator[tuple[Migration, str]]:
    """What `sqlmigrate` prints for each wanted migration, from one walk through all of them."""
    executor = MigrationExecutor(connection)
    state = executor._create_project_state()  # type: ignore[attr-defined]
    for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True):
        if not wanted(migration):
            state.__dict__.pop("apps", None)  # rendered again when next needed, and not for every operation of others
            migration.mutate_state(state, preserve=False)
            continue
        with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
            for step in batches(migration.operations):
                if isinstance(step, Batch) or step.reduces_to_sql:
                    take(step, migration.app_label, state, editor)
                else:
                    step.state_forwards(migration.app_label, state)
        lines: list[str] = editor.collected_sql
        yield migration, "\n".join(["BEGIN;", *lines, "COMMIT;"] if migration.atomic else lines)
