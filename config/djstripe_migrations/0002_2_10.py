"""Upstream's 0002_2_10, which takes 80 s because every field removal renders all models again, as one operation."""

import importlib.util
from pathlib import Path
from typing import Any

from django.db import migrations
from django.db.migrations.operations.base import Operation
from djstripe import migrations as _upstream

_spec = importlib.util.spec_from_file_location("_djstripe_0002", Path(_upstream.__path__[0]) / "0002_2_10.py")
assert _spec is not None and _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


class Batch(Operation):
    """Changes the state without rendering models in between, then does the DDL from two rendered states."""

    reversible = False

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return type(self).__name__, [self.operations], {}

    def state_forwards(self, app_label: str, state: Any) -> None:
        state.__dict__.pop("apps", None)  # without rendered models each change is an edit of a dict
        for operation in self.operations:
            operation.state_forwards(app_label, state)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        old, new = from_state.apps, to_state.apps
        added: dict[str, set[str]] = {}
        for operation in self.operations:
            if isinstance(operation, migrations.AddField):
                added.setdefault(operation.model_name_lower, set()).add(operation.name)
        for operation in self.operations:
            match operation:
                case migrations.RemoveField():
                    # A field that the batch both adds and removes never reaches the database.
                    if operation.name not in added.get(operation.model_name_lower, ()):
                        model = old.get_model(app_label, operation.model_name)
                        schema_editor.remove_field(model, model._meta.get_field(operation.name))
                case migrations.AddField():
                    kept = to_state.models.get((app_label, operation.model_name_lower))
                    if kept is not None and operation.name in kept.fields:
                        model = old.get_model(app_label, operation.model_name)
                        target = new.get_model(app_label, operation.model_name)
                        schema_editor.add_field(model, target._meta.get_field(operation.name))
                case migrations.DeleteModel():
                    schema_editor.delete_model(old.get_model(app_label, operation.name))
                case migrations.AlterUniqueTogether():
                    model = old.get_model(app_label, operation.name)
                    wanted = operation.unique_together or set()
                    schema_editor.alter_unique_together(model, model._meta.unique_together, wanted)
                case migrations.AlterModelOptions():
                    pass
                case _:
                    raise NotImplementedError(operation)

    def describe(self) -> str:
        return f"{len(self.operations)} operations of upstream, as one"


class Migration(_module.Migration):
    operations = [Batch(_module.Migration.operations)]
