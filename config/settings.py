"""Every setting of Tirelire; each value that a team may want to change comes from the environment (see .env.example)."""

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
    "billing",
    "rest",
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
    "rest.middleware.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "rest.middleware.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "rest.middleware.PeoplesSession",
    "rest.middleware.PeoplesLanguage",
    "django.middleware.common.CommonMiddleware",
    "rest.middleware.PeoplesCsrf",
    "rest.middleware.PeoplesLogin",
    "rest.middleware.PeoplesMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.error_pages.ProblemsMiddleware",
    "rest.throttles.RateLimitHeaders",
]
SILENCED_SYSTEM_CHECKS = ["security.W003"]  # looks for Django's own name, and PeoplesCsrf is a subclass of it
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

# Customers come with a JWT of the team's own auth service: at least one of these three sources says whose keys count.
JWT_SECRET = safety.secret("JWT_SECRET", production=PRODUCTION, var_dir=VAR_DIR)
JWT_PREVIOUS_SECRET = env.str("JWT_PREVIOUS_SECRET", default="")  # accepted too while the secret is rotated
JWT_PUBLIC_KEY = env.str("JWT_PUBLIC_KEY", default="")  # one or more public keys in PEM, or the path of such a file
JWT_JWKS_URL = env.str("JWT_JWKS_URL", default="")
JWT_JWKS_CACHE_SECONDS = env.int("JWT_JWKS_CACHE_SECONDS", default=600)
JWT_JWKS_PAUSE_SECONDS = env.int("JWT_JWKS_PAUSE_SECONDS", default=30)  # at least this long between two fetches
JWT_JWKS_TIMEOUT_SECONDS = env.float("JWT_JWKS_TIMEOUT_SECONDS", default=3.0)
JWT_ALGORITHMS = env.list("JWT_ALGORITHMS", default=["HS256", "RS256", "ES256"])  # each only where its kind of key is
JWT_AUDIENCE = env.list("JWT_AUDIENCE", default=[])  # checked when set; any one of them will do
JWT_ISSUER = env.list("JWT_ISSUER", default=[])  # checked when set; any one of them will do
JWT_LEEWAY_SECONDS = env.int("JWT_LEEWAY_SECONDS", default=10)
JWT_CACHE_SECONDS = env.int("JWT_CACHE_SECONDS", default=60)  # a token is verified again after this long
CUSTOMER_CACHE_SECONDS = env.int("CUSTOMER_CACHE_SECONDS", default=60)  # until a deactivated user is refused
SERVICE_TOKEN_CACHE_SECONDS = env.int("SERVICE_TOKEN_CACHE_SECONDS", default=10)  # until a revocation is seen

# A gateway of the team's own may vouch for customers with X-User-ID and X-Internal-Key.
TRUST_PROXY_HEADERS = env.bool("TRUST_PROXY_HEADERS", default=False)
INTERNAL_API_KEY = env.str("INTERNAL_API_KEY", default="")
INTERNAL_PREVIOUS_API_KEY = env.str("INTERNAL_PREVIOUS_API_KEY", default="")  # accepted too while it is rotated

# How often each kind of caller may call: a number per time (s, m, h, d). Strangers are counted by address.
THROTTLE_ANONYMOUS = env.str("THROTTLE_ANONYMOUS", default="100/15m")
THROTTLE_CUSTOMER = env.str("THROTTLE_CUSTOMER", default="600/1m")
THROTTLE_SERVICE = env.str("THROTTLE_SERVICE", default="60000/1m")
THROTTLE_REDIS_TIMEOUT_SECONDS = env.float("THROTTLE_REDIS_TIMEOUT_SECONDS", default=0.25)
THROTTLE_REDIS_PAUSE_SECONDS = env.float("THROTTLE_REDIS_PAUSE_SECONDS", default=5.0)  # uncounted after a failure
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)  # proxies before us that append to X-Forwarded-For

# ---------------------------------------------------------------- the API

API_PREFIX = "/api/v1/"
APPEND_SLASH = False
API_MAX_BODY_BYTES = env.int("API_MAX_BODY_BYTES", default=1_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = max(API_MAX_BODY_BYTES, 2_500_000)  # of Django, for the admin's forms
IDEMPOTENCY_HOURS = env.int("IDEMPOTENCY_HOURS", default=24)
IDEMPOTENCY_PURGE_BATCH = env.int("IDEMPOTENCY_PURGE_BATCH", default=5_000)
UNAVAILABLE_RETRY_AFTER_SECONDS = env.int("UNAVAILABLE_RETRY_AFTER_SECONDS", default=5)
REST_FRAMEWORK = {
    "EXCEPTION_HANDLER": "config.problems.handle",
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest.authentication.CallerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest.permissions.IsCaller"],
    "DEFAULT_THROTTLE_CLASSES": ["rest.throttles.CallerThrottle"],
    "DEFAULT_SCHEMA_CLASS": "rest.schema.ApiSchema",
    "DEFAULT_PARSER_CLASSES": ["rest.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest.renderers.OrjsonRenderer"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tirelire",
    "DESCRIPTION": "Plans, credits, wallets and payments.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": API_PREFIX,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "rest.schema.add_shared_parts"],
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# ---------------------------------------------------------------- customers

CUSTOMER_DEFAULT_LOCALE = env.str("CUSTOMER_DEFAULT_LOCALE", default="en")  # en | fr, until a customer says otherwise
CUSTOMER_DEFAULT_TIME_ZONE = env.str("CUSTOMER_DEFAULT_TIME_ZONE", default="UTC")

# ---------------------------------------------------------------- browsers

CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "idempotency-key", "last-event-id", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "Idempotency-Replayed",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-ID",
]
_CSP = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:; script-src 'self'{scripts}; style-src 'self'{styles}"
)
_CSP_OF_UNFOLD = _CSP.format(scripts=" 'unsafe-eval'", styles=" 'unsafe-inline'")  # Alpine.js evaluates attributes
CONTENT_SECURITY_POLICIES = {  # the first prefix that fits; the last one fits everything
    "/admin/": _CSP_OF_UNFOLD,
    "/accounts/": _CSP_OF_UNFOLD,
    "/api/docs": _CSP.format(scripts="", styles=" 'unsafe-inline'"),  # Swagger sets styles on its elements
    "": _CSP.format(scripts="", styles=""),
}
PERMISSIONS_POLICY = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000) if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION

# ---------------------------------------------------------------- dj-stripe, the mirror of Stripe's objects

DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"  # never change: it is part of the schema
STRIPE_LIVE_MODE = env.bool("STRIPE_LIVE_MODE", default=False)
STRIPE_API_VERSION = "2026-08-26.dahlia"
