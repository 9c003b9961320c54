"""System checks that look into the database; `manage.py check --deploy --database default` runs them."""
