"""Every setting of Tirelire; whatever a team may want to change comes from the environment (see .env.example)."""

import os
from pathlib import Path

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

import embedded
from config import safety

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = embedded.var_dir()

env = environ.Env()
APP_ENV = env.str("APP_ENV", default="development")  # development | test | production
if APP_ENV == "development":
    environ.Env.read_env(BASE_DIR / ".env")
PRODUCTION = APP_ENV == "production"
if APP_ENV not in {"development", "test", "production"}:
    raise ImproperlyConfigured(f"APP_ENV is development, test or production, not {APP_ENV!r}.")

# ---------------------------------------------------------------- secrets and safety

DEBUG = env.bool("DEBUG", default=APP_ENV == "development")
SECRET_KEY = safety.secret("SECRET_KEY", production=PRODUCTION, var_dir=VAR_DIR)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])
PORT = env.int("PORT", default=8000)
BASE_URL = env.str("BASE_URL", default=f"http://127.0.0.1:{PORT}")

# ---------------------------------------------------------------- database

DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
if not PRODUCTION and not (DATABASE_URL and REDIS_URL):
    _servers = embedded.ensure("test" if APP_ENV == "test" else "dev")
    DATABASE_URL = DATABASE_URL or _servers.database_url
    REDIS_URL = REDIS_URL or _servers.redis_url
    if APP_ENV == "test":  # the workers of pytest-xdist inherit these and start nothing
        os.environ |= {"DATABASE_URL": DATABASE_URL, "REDIS_URL": REDIS_URL}

DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)  # 0: no pool; the web server has one
DATABASE_WAIT_SECONDS = env.int("DATABASE_WAIT_SECONDS", default=1)
DATABASE_STATEMENT_TIMEOUT_MS = env.int("DATABASE_STATEMENT_TIMEOUT_MS", default=15_000)
DATABASE_LOCK_TIMEOUT_MS = env.int("DATABASE_LOCK_TIMEOUT_MS", default=5_000)
DATABASES = {"default": env.db_url_config(DATABASE_URL or "postgres://nobody@nowhere/unset")}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("Tirelire speaks PostgreSQL only: DATABASE_URL must start with postgres://.")
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    "connect_timeout": max(DATABASE_WAIT_SECONDS, 2),  # libpq knows no less than two seconds
    "options": f"-c statement_timeout={DATABASE_STATEMENT_TIMEOUT_MS} -c lock_timeout={DATABASE_LOCK_TIMEOUT_MS}",
}
if DATABASE_POOL_SIZE:
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": DATABASE_WAIT_SECONDS,
        "reconnect_timeout": 2,  # give up soon, so that the next request tries again
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---------------------------------------------------------------- Redis and Celery

REDIS_PREFIX = env.str("REDIS_PREFIX", default="tirelire:") + os.environ.get("PYTEST_XDIST_WORKER", "")
CELERY_BROKER_URL = REDIS_URL

# ---------------------------------------------------------------- applications

INSTALLED_APPS = [
    "config",
    "storefront",
    "credits",
    "events",
    "rest",
    "ledger",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "djstripe",
]
MIGRATION_MODULES = {"djstripe": "config.djstripe_migrations"}
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.error_pages.ProblemsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# ---------------------------------------------------------------- language and time

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

# ---------------------------------------------------------------- static files

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION  # a laptop serves the files from where they are written
if not PRODUCTION:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# ---------------------------------------------------------------- who calls us

JWT_SECRET = (
    safety.secret("JWT_SECRET", production=False, var_dir=VAR_DIR)
    if not PRODUCTION
    else env.str("JWT_SECRET", default="")
)

# ---------------------------------------------------------------- the API

API_PREFIX = "/api/v1/"
APPEND_SLASH = False
UNAVAILABLE_RETRY_AFTER_SECONDS = env.int("UNAVAILABLE_RETRY_AFTER_SECONDS", default=5)
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "config.problems.handle",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tirelire",
    "DESCRIPTION": "Plans, credits, wallets and payments.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# ---------------------------------------------------------------- credits: the catalogue

COSTS_CACHE_SECONDS = env.int("COSTS_CACHE_SECONDS", default=5)  # how long a process may not see a new cost

# ---------------------------------------------------------------- the books

# Functions of other apps that `manage.py check_ledger` runs after its own checks, by their dotted names.
LEDGER_CHECKS: list[str] = [
    "credits.checks.open_grants_have_a_balance",
    "credits.checks.spends_equal_their_transfers",
    "credits.checks.reversals_equal_their_transfers",
    "credits.checks.holds_equal_their_parts",
    "credits.checks.counters_equal_the_spends",
    "credits.checks.debts_are_within_their_policy",
]

# ---------------------------------------------------------------- credits: grants, spends and holds

CREDITS_LOW_PERCENT = env.int("CREDITS_LOW_PERCENT", default=20)  # of what the open grants were bought for
CREDITS_HOLD_SECONDS = env.int("CREDITS_HOLD_SECONDS", default=3_600)  # how long a hold lasts unless it says
CREDITS_HOLD_LONGEST_SECONDS = env.int("CREDITS_HOLD_LONGEST_SECONDS", default=7 * 86_400)
CREDITS_REVERSAL_LEAST_DAYS = env.int("CREDITS_REVERSAL_LEAST_DAYS", default=7)  # life of what comes back expired
CREDITS_EXPIRING_DAYS = env.int("CREDITS_EXPIRING_DAYS", default=7)  # how long before it a grant's end is told
CREDITS_FAIR_USE_PER_MONTH = env.int("CREDITS_FAIR_USE_PER_MONTH", default=0)  # of the unlimited; 0: no limit
CREDITS_FORECAST_DAYS = env.int("CREDITS_FORECAST_DAYS", default=30)  # whose use the forecast goes by
CREDITS_SWEEP_BATCH = env.int("CREDITS_SWEEP_BATCH", default=500)  # customers or holds locked at a time
CREDITS_EXPIRE_GRANTS_SECONDS = env.int("CREDITS_EXPIRE_GRANTS_SECONDS", default=60)
CREDITS_EXPIRE_HOLDS_SECONDS = env.int("CREDITS_EXPIRE_HOLDS_SECONDS", default=15)
CREDITS_EXPIRING_SECONDS = env.int("CREDITS_EXPIRING_SECONDS", default=3_600)
# Off behind a connection pooler that knows no prepared statements; a spend then costs more.
CREDITS_PREPARED_STATEMENTS = env.bool("CREDITS_PREPARED_STATEMENTS", default=True)

# ---------------------------------------------------------------- dj-stripe, the mirror of Stripe's objects

DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"  # never change: it is part of the schema
STRIPE_LIVE_MODE = env.bool("STRIPE_LIVE_MODE", default=False)
STRIPE_API_VERSION = "2026-08-26.dahlia"
