"""dj-stripe's own migrations, with the slow one (514 field removals) run as one batch.

Names, dependencies and the recorded history stay upstream's; every migration that is not overridden here is read
from the installed package. `manage.py check_djstripe_schema` proves that both ways end in the same schema.
"""

from djstripe import migrations as _upstream

__path__ = [*__path__, *_upstream.__path__]
