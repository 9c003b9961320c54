"""Which operations of a migration share their states; that the end is the same, `check_migration_batches` proves."""

from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from config.batching import Batch, batches

FIELD = models.TextField(null=True)
INDEX = models.Index(fields=["name"], name="thing_name")
NAMED = models.CheckConstraint(condition=~models.Q(name=""), name="thing_named")


def thing(name: str = "Thing") -> migrations.CreateModel:
    return migrations.CreateModel(name, [("id", models.BigAutoField(primary_key=True)), ("name", models.TextField())])


def shape(*operations: Operation) -> list[list[str] | str]:
    return [
        [type(each).__name__ for each in step.operations] if isinstance(step, Batch) else type(step).__name__
        for step in batches(list(operations))
    ]


def test_what_belongs_to_a_new_model_is_created_with_it() -> None:
    more = [migrations.AddField("thing", "more", FIELD), migrations.AddIndex("thing", INDEX)]
    assert shape(thing(), thing("Other"), *more, migrations.AddConstraint("thing", NAMED)) == [
        ["CreateModel", "CreateModel", "AddField", "AddIndex", "AddConstraint"]
    ]


def test_an_older_model_is_changed_kind_by_kind() -> None:
    assert shape(
        thing("Other"),
        migrations.AddField("thing", "more", FIELD),
        migrations.AddField("thing", "else", FIELD),
        migrations.AddIndex("thing", INDEX),
        migrations.AddConstraint("thing", NAMED),
        migrations.RemoveConstraint("thing", "thing_named"),
        migrations.RemoveField("thing", "more"),
    ) == [
        ["CreateModel"],
        ["AddField", "AddField"],
        ["AddIndex", "AddConstraint"],
        ["RemoveConstraint"],
        ["RemoveField"],
    ]


def test_anything_else_stands_alone_and_ends_the_creation() -> None:
    assert shape(
        thing(),
        migrations.RunSQL("SELECT 1"),
        migrations.AlterField("thing", "name", FIELD),
        migrations.AddIndex("thing", INDEX),
    ) == [["CreateModel"], "RunSQL", "AlterField", ["AddIndex"]]


def test_models_rendered_before_a_batch_are_rendered_anew_after_it() -> None:
    state = ProjectState()
    for operation in (thing(), thing("Other")):
        operation.state_forwards("planted", state)
    assert state.apps.get_model("planted", "thing")._meta.get_field("name")
    link = models.ForeignKey("planted.Other", models.CASCADE)
    (batch,) = batches([migrations.AddField("thing", "other", link)])
    batch.state_forwards("planted", state)
    rendered = state.apps.get_model("planted", "thing")
    assert rendered._meta.get_field("other").related_model is state.apps.get_model("planted", "other")
    assert "thing" in {each.name for each in state.apps.get_model("planted", "other")._meta.related_objects}
