"""Every setting of Tirelire; whatever a team may want to change comes from the environment (see .env.example)."""

import os
import tomllib
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

import embedded
from config import amounts, logs, safety, words

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()  # type: ignore[no-untyped-call]


def _word(name: str, *known: str, default: str) -> str:
    return words.one_of(name, env.str(name, default=default), known)


def _time_zone(name: str, default: str) -> str:
    return words.time_zone(name, env.str(name, default=default))


APP_ENV = env.str("APP_ENV", default="development")  # development | test | production
if APP_ENV == "development":
    environ.Env.read_env(BASE_DIR / ".env")
    APP_ENV = env.str("APP_ENV", default="development")  # which the file may say
VAR_DIR = embedded.var_dir()
env.ENVIRON = safety.WithFiles(os.environ)  # type: ignore[assignment]  # it is only read
PRODUCTION = APP_ENV == "production"
if APP_ENV not in {"development", "test", "production"}:
    raise ImproperlyConfigured(f"APP_ENV is development, test or production, not {APP_ENV!r}.")

# ---------------------------------------------------------------- secrets and safety

DEBUG = env.bool("DEBUG", default=APP_ENV == "development")
SECRET_KEY = safety.secret("SECRET_KEY", production=PRODUCTION, var_dir=VAR_DIR)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])  # of before: still opens what it has sealed
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])
PORT = env.int("PORT", default=8000)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=1 if APP_ENV == "test" else 8010)  # tests start one of their own
BASE_URL = env.str("BASE_URL", default="" if PRODUCTION else f"http://127.0.0.1:{PORT}").rstrip("/")
if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    CSRF_TRUSTED_ORIGINS = [BASE_URL] if BASE_URL else []
    SECURE_SSL_REDIRECT = env.bool("SSL_REDIRECT", default=True)
    # Orchestrators and scrapers ask from inside, without TLS.
    SECURE_REDIRECT_EXEMPT = [r"^health(/|$)", r"^metrics$"]
    SECURE_HSTS_SECONDS = env.int("HSTS_SECONDS", default=31_536_000)
    # Both speak for hosts that are not ours, and are hard to take back: a team says so itself.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
    SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
    if env.bool("BEHIND_TLS_PROXY", default=True):  # the front sets this header itself, whatever a client sends
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # looks for Django's own name, and PeoplesCsrf is a subclass of it
    "security.W005",  # HSTS for hosts that are not ours, see above
    "security.W021",
]

# ---------------------------------------------------------------- database

DATABASE_URL = env.str("DATABASE_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="")
if not PRODUCTION and not (DATABASE_URL and REDIS_URL):
    _servers = embedded.ensure("test" if APP_ENV == "test" else env.str("EMBEDDED_PROFILE", default="dev"))
    DATABASE_URL = DATABASE_URL or _servers.database_url
    REDIS_URL = REDIS_URL or _servers.redis_url
    if APP_ENV == "test":  # the workers of pytest-xdist inherit these and start nothing
        os.environ |= {"DATABASE_URL": DATABASE_URL, "REDIS_URL": REDIS_URL}

DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)  # 0: no pool; the stream server has one
# How long a thread keeps its connection from request to request, where there is no pool; the web server does.
DATABASE_KEEP_SECONDS = env.int("DATABASE_KEEP_SECONDS", default=0)
DATABASE_WAIT_SECONDS = env.int("DATABASE_WAIT_SECONDS", default=1)
DATABASE_STATEMENT_TIMEOUT_MS = env.int("DATABASE_STATEMENT_TIMEOUT_MS", default=15_000)
DATABASE_LOCK_TIMEOUT_MS = env.int("DATABASE_LOCK_TIMEOUT_MS", default=5_000)
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url_config(DATABASE_URL or "postgres://nobody@nowhere/unset")  # type: ignore[no-untyped-call]
}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("Tirelire speaks PostgreSQL only: DATABASE_URL must start with postgres://.")
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    "connect_timeout": max(DATABASE_WAIT_SECONDS, 2),  # libpq knows no less than two seconds
    "tcp_user_timeout": 5_000,  # milliseconds without an answer of the other machine's kernel: the network is gone
    "keepalives_idle": 5,
    "options": f"-c statement_timeout={DATABASE_STATEMENT_TIMEOUT_MS} -c lock_timeout={DATABASE_LOCK_TIMEOUT_MS}",
}
if DATABASE_POOL_SIZE:
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": DATABASE_POOL_SIZE,
        "timeout": DATABASE_WAIT_SECONDS,
        "reconnect_timeout": 2,  # give up soon, so that the next request tries again
    }
else:
    DATABASES["default"].setdefault("CONN_MAX_AGE", DATABASE_KEEP_SECONDS)  # ?conn_max_age= of the URL comes first
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# ---------------------------------------------------------------- Redis and Celery

REDIS_PREFIX = env.str("REDIS_PREFIX", default="tirelire:") + os.environ.get("PYTEST_XDIST_WORKER", "")
BROKER_TIMEOUT_SECONDS = env.float("BROKER_TIMEOUT_SECONDS", default=1.0)
TASK_SOFT_TIME_LIMIT_SECONDS = env.int("TASK_SOFT_TIME_LIMIT_SECONDS", default=240)
TASK_TIME_LIMIT_SECONDS = env.int("TASK_TIME_LIMIT_SECONDS", default=300)
# A worker that died holds its tasks for so long; then another gets them.
TASK_VISIBILITY_TIMEOUT_SECONDS = env.int("TASK_VISIBILITY_TIMEOUT_SECONDS", default=900)
TASK_LONGEST_DELAY_SECONDS = TASK_VISIBILITY_TIMEOUT_SECONDS - TASK_TIME_LIMIT_SECONDS
HEARTBEAT_SECONDS = env.float("HEARTBEAT_SECONDS", default=15.0)
HEARTBEAT_STALE_SECONDS = env.float("HEARTBEAT_STALE_SECONDS", default=60.0)
if TASK_VISIBILITY_TIMEOUT_SECONDS < 2 * TASK_TIME_LIMIT_SECONDS:
    # A worker may hold one task while it runs another; both must be done before the first is given away again.
    raise ImproperlyConfigured("TASK_VISIBILITY_TIMEOUT_SECONDS must be at least twice TASK_TIME_LIMIT_SECONDS.")
CELERY_BROKER_URL = REDIS_URL
CACHES = {
    "default": {
        "BACKEND": "config.cache.SteadyCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": REDIS_PREFIX,
        "OPTIONS": {
            "socket_connect_timeout": env.float("CACHE_TIMEOUT_SECONDS", default=0.5),
            "socket_timeout": env.float("CACHE_TIMEOUT_SECONDS", default=0.5),
        },
    }
}
CACHE_PAUSE_SECONDS = env.float("CACHE_PAUSE_SECONDS", default=5.0)  # after a failure, before Redis is asked again
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker waits for Redis for as long as it takes
CELERY_BROKER_CONNECTION_TIMEOUT = BROKER_TIMEOUT_SECONDS
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": REDIS_PREFIX,
    "visibility_timeout": TASK_VISIBILITY_TIMEOUT_SECONDS,
    # How often workers look for tasks of the dead; kombu's own pace is every hundred seconds at best.
    "unacked_restore_interval": max(1, TASK_VISIBILITY_TIMEOUT_SECONDS // 60),
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": BROKER_TIMEOUT_SECONDS,
    "socket_keepalive": True,
    "max_retries": 0,  # of whoever sends a task: a request must not wait for Redis to come back
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True  # outcomes are rows
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = TASK_TIME_LIMIT_SECONDS
CELERY_TASK_SOFT_TIME_LIMIT = TASK_SOFT_TIME_LIMIT_SECONDS
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True  # they are redelivered, so they must not go on here
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat")

# ---------------------------------------------------------------- health, metrics and logs

VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
BUILD_REVISION = env.str("BUILD_REVISION", default="")  # the commit that the image was built from
if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # prometheus_client wants it to be there before the first figure
    Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).mkdir(parents=True, exist_ok=True)
else:  # set to nothing it would mean the current folder
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
HEALTH_TIMEOUT_SECONDS = env.float("HEALTH_TIMEOUT_SECONDS", default=1.5)
HEALTH_RETRY_AFTER_SECONDS = env.int("HEALTH_RETRY_AFTER_SECONDS", default=5)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # empty: only the addresses below
METRICS_ALLOWED_IPS = env.list("METRICS_ALLOWED_IPS", default=["127.0.0.0/8", "::1"])
METRICS_POOL_SECONDS = env.float("METRICS_POOL_SECONDS", default=5.0)  # how old the pool's figures may be
WORKER_METRICS_PORT = env.int("WORKER_METRICS_PORT", default=0)  # 0: workers share PROMETHEUS_MULTIPROC_DIR with web
WORKER_METRICS_HOST = env.str("WORKER_METRICS_HOST", default="127.0.0.1")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
LOG_FORMAT = _word("LOG_FORMAT", "json", "pretty", default="json" if PRODUCTION else "pretty")
LOGGING = logs.configuration(level=LOG_LEVEL, form=LOG_FORMAT)

# ---------------------------------------------------------------- applications

INSTALLED_APPS = [
    "config",
    "storefront",
    "billing",
    "credits",
    "wallets",
    "events",
    "rest",
    "ledger",
    "unfold.apps.BasicAppConfig",
    "config.apps.TirelireAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "auditlog",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "djstripe",
]
# Rows of these models are written once: `create_roles` lets the application neither change nor delete them.
APPEND_ONLY_MODELS: list[str] = ["auditlog.LogEntry"] if "auditlog" in INSTALLED_APPS else []
APPEND_ONLY_MODELS += ["credits.PackPrice", "credits.Cost"]
APPEND_ONLY_MODELS += ["billing.InvoiceLine", "billing.InvoiceFile", "billing.VatCheck", "billing.TaxedUse"]
MIDDLEWARE = [
    "config.metrics.RequestMetrics",
    "rest.middleware.RequestId",
    "config.logs.RequestLog",
    "django.middleware.security.SecurityMiddleware",
    "rest.middleware.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "rest.middleware.OtherOrigins",
    "django.middleware.gzip.GZipMiddleware",
    "config.gate.DatabaseGate",
    "rest.middleware.PeoplesSession",
    "rest.middleware.PeoplesLanguage",
    "rest.middleware.PeoplesText",
    "rest.middleware.OperatorsTimeZone",
    "config.monitoring.KnownHosts",
    "rest.middleware.PeoplesCsrf",
    "rest.middleware.PeoplesLogin",
    "rest.middleware.PeoplesMessages",
    "allauth.account.middleware.AccountMiddleware",
    "config.second_factor.SecondFactorMiddleware",
    "config.audit.AuditMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.error_pages.ProblemsMiddleware",
    "rest.throttles.RateLimitHeaders",
]
# What calls of the API pass without (config/doors.py). AuditMiddleware stays: it keeps the audit log shut there.
MIDDLEWARE_FOR_PEOPLE = {
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "rest.middleware.PeoplesSession",
    "rest.middleware.PeoplesText",
    "rest.middleware.OperatorsTimeZone",
    "rest.middleware.PeoplesCsrf",
    "rest.middleware.PeoplesLogin",
    "rest.middleware.PeoplesMessages",
    "allauth.account.middleware.AccountMiddleware",
    "config.second_factor.SecondFactorMiddleware",
}
# What letters of gateways pass without as well.
MIDDLEWARE_FOR_CALLERS = {
    "rest.middleware.OtherOrigins",
    "django.middleware.gzip.GZipMiddleware",
    "config.audit.AuditMiddleware",
    "rest.throttles.RateLimitHeaders",
}
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

# ---------------------------------------------------------------- operators: sign-in, second factor, audit

ADMIN_SECOND_FACTOR_REQUIRED = env.bool("ADMIN_SECOND_FACTOR_REQUIRED", default=PRODUCTION)
SESSION_COOKIE_AGE = env.int("OPERATOR_SESSION_HOURS", default=12) * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
if APP_ENV == "test":  # a slow hash protects nobody there
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
ACCOUNT_ADAPTER = "config.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]  # nobody signs up; allauth wants them named
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_REAUTHENTICATION_TIMEOUT = env.int("OPERATOR_REAUTHENTICATION_SECONDS", default=300)
ACCOUNT_RATE_LIMITS = {
    "login": env.str("LOGIN_RATE_PER_IP", default="30/m/ip"),
    "login_failed": env.str("LOGIN_FAILED_RATE", default="10/m/ip,5/5m/key"),
}
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
MFA_ADAPTER = "config.accounts.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Tirelire"
MFA_TOTP_TOLERANCE = 1  # one step of 30 seconds either way, for telephones whose clock is off
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION
AUDITLOG_MASK_CALLABLE = "config.audit.hidden"
AUDITLOG_CID_GETTER = "rest.requestid.current"
SERVICE_TOKEN_WARNING_DAYS = env.int("SERVICE_TOKEN_WARNING_DAYS", default=14)
# How long the home page asks for somebody about what was given up: e-mails, webhooks, events of gateways.
HOME_LOOKS_BACK_DAYS = env.int("HOME_LOOKS_BACK_DAYS", default=14)

# ---------------------------------------------------------------- the admin's look

UNFOLD = {
    "SITE_TITLE": "Tirelire",
    "SITE_HEADER": "Tirelire",
    "SITE_SUBHEADER": "config.navigation.subheader",
    "SITE_URL": "/",
    "SITE_ICON": "config.navigation.icon",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "config.navigation.favicon"}],
    "ENVIRONMENT": "config.navigation.environment",
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": False,
    "BORDER_RADIUS": "8px",
    "DASHBOARD_CALLBACK": "config.home.dashboard",
    "ACCOUNT": {"navigation": "config.navigation.account_links"},
    "SIDEBAR": {"show_search": True, "navigation": "config.navigation.sidebar"},
    "STYLES": ["config.navigation.stylesheet"],
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .014 180.7)",
            "100": "oklch(95.3% .051 180.8)",
            "200": "oklch(91% .096 180.4)",
            "300": "oklch(85.5% .138 181)",
            "400": "oklch(77.7% .152 181.9)",
            "500": "oklch(65% .125 183.5)",
            "600": "oklch(51.1% .096 186.4)",  # dark enough for white letters
            "700": "oklch(43.7% .078 188.2)",
            "800": "oklch(38.6% .063 188.4)",
            "900": "oklch(33% .055 190)",
            "950": "oklch(27.7% .046 192.5)",
        },
    },
}

# ---------------------------------------------------------------- language and time

LANGUAGE_CODE = _word("LANGUAGE_CODE", "en", "fr", default="en")  # of the house: what is kept, and written to operators
LANGUAGES = [("en", "English"), ("fr", "Français")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"  # of the house: of its days and months, of files and of the API
USE_TZ = True
# By which clock the admin tells and asks for times; its pages name it.
OPERATORS_TIME_ZONE = _time_zone("OPERATORS_TIME_ZONE", default=TIME_ZONE)

# ---------------------------------------------------------------- static files

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION  # a laptop serves the files from where they are written
WHITENOISE_AUTOREFRESH = not PRODUCTION  # and looks for one when it is asked for, not for all at each start
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
THROTTLE_COUPON = env.str("THROTTLE_COUPON", default="30/1h")  # codes that one customer may try, right or wrong
# Notifications from one address that no signature proves, or only a call, or that are refused. Gateways have few, and a
# sweep finds what is refused.
THROTTLE_LETTERS = env.str("THROTTLE_LETTERS", default="1200/1m")
THROTTLE_GUEST_CHECKOUT = env.str("THROTTLE_GUEST_CHECKOUT", default="10/1h")  # that one address may begin
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
    "DESCRIPTION": (
        "Plans, credits, wallets and payments.\n\n"
        "Send a customer's JWT or a service token (`tl_…`) as `Authorization: Bearer …`; a service names its customer "
        "in `X-User-ID`. Amounts of money are whole numbers in the smallest unit of their currency. Errors are "
        "`application/problem+json`, and `/problems` lists them. `docs/api.md` says what a token must hold and how "
        "idempotency keys, pages and rate limits work."
    ),
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": API_PREFIX,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "rest.schema.add_shared_parts"],
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "PlanChangeMomentEnum": ["now", "period_end"],
        "PaymentStatusEnum": ["pending", "succeeded", "failed", "cancelled", "expired", "quarantined"],
        "RefundStatusEnum": [
            "requested",
            "sending",
            "pending",
            "unknown",
            "manual",
            "succeeded",
            "failed",
            "cancelled",
        ],
        "WithdrawalStatusEnum": "wallets.models.withdrawals.WithdrawalStatus.values",
        "NextActionTypeEnum": ["redirect", "phone_prompt", "client_secret", "none"],
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# ---------------------------------------------------------------- the books

LEDGER_ROLL_UP_SECONDS = env.float("LEDGER_ROLL_UP_SECONDS", default=60.0)
# Functions of other apps that `manage.py check_ledger` runs after its own checks, by their dotted names.
LEDGER_CHECKS: list[str] = [
    "credits.checks.open_grants_have_a_balance",
    "credits.checks.spends_equal_their_transfers",
    "credits.checks.reversals_equal_their_transfers",
    "credits.checks.holds_equal_their_parts",
    "credits.checks.counters_equal_the_spends",
    "credits.checks.debts_are_within_their_policy",
    "credits.checks.periods_equal_their_grants",
    "credits.checks.due_periods_are_paid_for",
    "wallets.checks.sales_equal_their_entries",
    "wallets.checks.pending_is_what_has_not_cleared",
    "wallets.checks.reserves_are_what_sales_left_in_them",
    "wallets.checks.sales_know_what_was_taken_back",
    "wallets.checks.available_holds_are_withdrawals_and_takings_back",
    "wallets.checks.withdrawals_are_paid_once",
    "billing.checks.payments_are_delivered_once",
    "billing.checks.coupons_are_used_as_often_as_they_say",
    "billing.checks.attempts_agree_with_their_payments",
    "billing.checks.charges_had_consent",
    "billing.checks.payouts_agree_with_their_withdrawals",
]

# ---------------------------------------------------------------- credits: the catalogue

CATALOGUES_DIR = Path(env.str("CATALOGUES_DIR", default=str(BASE_DIR / "catalogues")))
COSTS_CACHE_SECONDS = env.int("COSTS_CACHE_SECONDS", default=5)  # how long a process may not see a new cost

# ---------------------------------------------------------------- credits: grants, spends and holds

CREDITS_LOW_PERCENT = env.int("CREDITS_LOW_PERCENT", default=20)  # of what the open grants were bought for
CREDITS_HOLD_SECONDS = env.int("CREDITS_HOLD_SECONDS", default=3_600)  # how long a hold lasts unless it says
CREDITS_HOLD_LONGEST_SECONDS = env.int("CREDITS_HOLD_LONGEST_SECONDS", default=7 * 86_400)
CREDITS_REVERSAL_LEAST_DAYS = env.int("CREDITS_REVERSAL_LEAST_DAYS", default=7)  # life of what comes back expired
CREDITS_ISSUE_ALONE = env.int("CREDITS_ISSUE_ALONE", default=10_000)  # by hand, without the right to adjust
CREDITS_EXPIRING_DAYS = env.int("CREDITS_EXPIRING_DAYS", default=7)  # how long before it a grant's end is told
CREDITS_FAIR_USE_PER_MONTH = env.int("CREDITS_FAIR_USE_PER_MONTH", default=0)  # of the unlimited; 0: no limit
CREDITS_FORECAST_DAYS = env.int("CREDITS_FORECAST_DAYS", default=30)  # whose use the forecast goes by
CREDITS_SWEEP_BATCH = env.int("CREDITS_SWEEP_BATCH", default=500)  # customers or holds locked at a time
CREDITS_GRANT_BATCH = env.int("CREDITS_GRANT_BATCH", default=5_000)  # due periods granted in one transaction
CREDITS_GRANT_DUE_SECONDS = env.int("CREDITS_GRANT_DUE_SECONDS", default=60)
CREDITS_EXPIRE_GRANTS_SECONDS = env.int("CREDITS_EXPIRE_GRANTS_SECONDS", default=60)
CREDITS_EXPIRE_HOLDS_SECONDS = env.int("CREDITS_EXPIRE_HOLDS_SECONDS", default=15)
CREDITS_HOLD_STUCK_SECONDS = env.int("CREDITS_HOLD_STUCK_SECONDS", default=600)  # past its end: tell the operators
CREDITS_EXPIRING_SECONDS = env.int("CREDITS_EXPIRING_SECONDS", default=3_600)
CREDITS_OFFER_CURRENCY = env.str("CREDITS_OFFER_CURRENCY", default="EUR")  # of packs offered to unknown countries
# Off behind a connection pooler that knows no prepared statements; a spend then costs more.
CREDITS_PREPARED_STATEMENTS = env.bool("CREDITS_PREPARED_STATEMENTS", default=True)
# Django sets None, with which psycopg prepares nothing, asked or not; Django's own cursors never prepare.
DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 5 if CREDITS_PREPARED_STATEMENTS else None

# ---------------------------------------------------------------- wallets: commissions, clearing, withdrawals

WALLETS_COMMISSION_BASIS_POINTS = env.int("WALLETS_COMMISSION_BASIS_POINTS", default=1_000)  # where no rule fits
WALLETS_CLEARING_DAYS = env.int("WALLETS_CLEARING_DAYS", default=7)  # until a sale is available, unless its rule says
WALLETS_SWEEP_BATCH = env.int("WALLETS_SWEEP_BATCH", default=500)  # sales of one wallet that a sweep clears at a time
WALLETS_RELEASE_SALES_SECONDS = env.int("WALLETS_RELEASE_SALES_SECONDS", default=60)
WALLETS_FREE_RESERVES_SECONDS = env.int("WALLETS_FREE_RESERVES_SECONDS", default=600)


def _amounts(name: str) -> dict[str, int]:
    return amounts.by_currency(name, env.str(name, default=""))


# By currency, in minor units: EUR=1000,XOF=5000. What is not named has no limit, and is never automatic.
WALLETS_WITHDRAWAL_MINIMUM_MINOR = _amounts("WALLETS_WITHDRAWAL_MINIMUM_MINOR")
WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR = _amounts("WALLETS_WITHDRAWAL_MAXIMUM_PER_DAY_MINOR")
WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR = _amounts("WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR")
WALLETS_WITHDRAWAL_TWO_PEOPLE_ABOVE_MINOR = _amounts("WALLETS_WITHDRAWAL_TWO_PEOPLE_ABOVE_MINOR")
WALLETS_WITHDRAWAL_FEE_MINOR = _amounts("WALLETS_WITHDRAWAL_FEE_MINOR")
WALLETS_WITHDRAWAL_FEE_BASIS_POINTS = env.int("WALLETS_WITHDRAWAL_FEE_BASIS_POINTS", default=0)
WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR = _amounts("WALLETS_ADJUSTMENT_TWO_PEOPLE_ABOVE_MINOR")
WALLETS_PAGE_MINUTES = env.int("WALLETS_PAGE_MINUTES", default=60)  # for which a link to a wallet page is good
WALLETS_ONE_OPEN_WITHDRAWAL = env.bool("WALLETS_ONE_OPEN_WITHDRAWAL", default=True)  # of a wallet at a time
WALLETS_DESTINATION_COOLING_HOURS = env.int("WALLETS_DESTINATION_COOLING_HOURS", default=24)  # of a changed destination

# ---------------------------------------------------------------- events: other servers and people

EVENTS_DISPATCH_SECONDS = env.float("EVENTS_DISPATCH_SECONDS", default=2.0)  # when no wake-up came through
EVENTS_BATCH = env.int("EVENTS_BATCH", default=500)  # events looked at in one transaction
# How a floor above tells who a customer is: takes user ids, returns `events.people.Contact` by user id.
EVENTS_CONTACTS = "billing.customers.contacts"
# How a floor above tells the lists of the admin whom a user id or an e-mail address means, and where that person's page
# is: takes what was typed, returns ids of users; the name of an address that takes one.
ADMIN_PEOPLE = "billing.customers.meant_by"
ADMIN_PERSON_PAGE = "admin:billing_customer_change"

# Addresses of one's own network are refused, or an endpoint could be used to talk to what is behind the front.
WEBHOOKS_ALLOW_PRIVATE_ADDRESSES = env.bool("WEBHOOKS_ALLOW_PRIVATE_ADDRESSES", default=APP_ENV == "development")
WEBHOOKS_ALLOW_HTTP = env.bool("WEBHOOKS_ALLOW_HTTP", default=not PRODUCTION)
WEBHOOKS_SEND_SECONDS = env.float("WEBHOOKS_SEND_SECONDS", default=2.0)  # when no wake-up came through
WEBHOOKS_RUN_SECONDS = env.float("WEBHOOKS_RUN_SECONDS", default=60.0)  # then the sender starts afresh
WEBHOOKS_CONCURRENCY = env.int("WEBHOOKS_CONCURRENCY", default=32)  # deliveries under way at once
WEBHOOKS_CONCURRENCY_PER_ENDPOINT = env.int("WEBHOOKS_CONCURRENCY_PER_ENDPOINT", default=8)  # 1 while it fails
WEBHOOKS_CONNECT_SECONDS = env.float("WEBHOOKS_CONNECT_SECONDS", default=5.0)
WEBHOOKS_DEADLINE_SECONDS = env.float("WEBHOOKS_DEADLINE_SECONDS", default=15.0)  # for all of it, however it drips
# A delivery whose sender died is taken over after this long; well beyond the deadline.
WEBHOOKS_LEASE_SECONDS = env.int("WEBHOOKS_LEASE_SECONDS", default=120)
WEBHOOKS_FIRST_RETRY_SECONDS = env.int("WEBHOOKS_FIRST_RETRY_SECONDS", default=5)  # then three times as long each time
WEBHOOKS_LONGEST_RETRY_SECONDS = env.int("WEBHOOKS_LONGEST_RETRY_SECONDS", default=12 * 3_600)
WEBHOOKS_GIVE_UP_HOURS = env.int("WEBHOOKS_GIVE_UP_HOURS", default=72)  # after the first attempt: a dead letter
WEBHOOKS_DISABLE_HOURS = env.int("WEBHOOKS_DISABLE_HOURS", default=96)  # without one success: switched off
WEBHOOKS_SECRET_OVERLAP_HOURS = env.int("WEBHOOKS_SECRET_OVERLAP_HOURS", default=24)  # both sign after a rotation
WEBHOOKS_KEEP_DAYS = env.int("WEBHOOKS_KEEP_DAYS", default=30)  # deliveries that are over, with their log
WEBHOOKS_PURGE_BATCH = env.int("WEBHOOKS_PURGE_BATCH", default=2_000)

# Development writes letters into var/mail; production sends them, and without a host they wait for one.
EMAIL_HOST = env.str("EMAIL_HOST", default="")
EMAIL_PORT = env.int("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = env.float("EMAIL_TIMEOUT_SECONDS", default=10.0)
EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_HOST
    else "django.core.mail.backends.dummy.EmailBackend"
    if PRODUCTION
    else "events.mailbox.FileBackend"
)
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Tirelire <no-reply@localhost>")
OPERATOR_EMAILS = env.list("OPERATOR_EMAILS", default=[] if PRODUCTION else ["operators@localhost"])
# Where people who need help can turn to: at the foot of every page and letter, and letters are answered there.
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="")
SUPPORT_URL = env.str("SUPPORT_URL", default="")
MAIL_SHOP_NAME = env.str("MAIL_SHOP_NAME", default="Tirelire")  # stands at the head of every letter
MAIL_SEND_SECONDS = env.float("MAIL_SEND_SECONDS", default=5.0)  # when no wake-up came through
MAIL_BATCH = env.int("MAIL_BATCH", default=50)
MAIL_LEASE_SECONDS = env.int("MAIL_LEASE_SECONDS", default=600)
MAIL_FIRST_RETRY_SECONDS = env.int("MAIL_FIRST_RETRY_SECONDS", default=60)  # then twice as long each time
MAIL_ATTEMPTS = env.int("MAIL_ATTEMPTS", default=12)  # the last one about a day and a half later

# ---------------------------------------------------------------- events: streams to front ends

# Where the stream process is, when no front sends it what is its: on a laptop. Requests for streams are sent there.
STREAM_URL = env.str("STREAM_URL", default="")
STREAM_POLL_SECONDS = env.float("STREAM_POLL_SECONDS", default=0.5)  # how late an event is at most whose hint was lost
STREAM_HEARTBEAT_SECONDS = env.float("STREAM_HEARTBEAT_SECONDS", default=15.0)  # until a revocation is seen, too
STREAM_TICKET_SECONDS = env.int("STREAM_TICKET_SECONDS", default=30)
STREAM_BALANCE_SECONDS = env.float("STREAM_BALANCE_SECONDS", default=1.0)  # between two balances of one customer
STREAM_LONGEST_SECONDS = env.int("STREAM_LONGEST_SECONDS", default=3_600)  # then the client has to come in again
STREAM_SEND_TIMEOUT_SECONDS = env.float("STREAM_SEND_TIMEOUT_SECONDS", default=30.0)  # for who takes nothing
STREAM_QUEUE = env.int("STREAM_QUEUE", default=100)  # events kept for a slow client; it reads the rest in the outbox
STREAM_CONNECTIONS_PER_CUSTOMER = env.int("STREAM_CONNECTIONS_PER_CUSTOMER", default=20)  # of each stream process
STREAM_DATABASE_CONNECTIONS = env.int("STREAM_DATABASE_CONNECTIONS", default=4)  # of each stream process
STREAM_DATABASE_WAIT_SECONDS = env.float("STREAM_DATABASE_WAIT_SECONDS", default=5.0)

# ---------------------------------------------------------------- customers

ONE_PERSON_BY_EMAIL = env.bool("ONE_PERSON_BY_EMAIL", default=True)  # trials, gifts and first purchases: once
CUSTOMER_DEFAULT_LOCALE = _word("CUSTOMER_DEFAULT_LOCALE", "en", "fr", default="en")  # until a customer says otherwise
CUSTOMER_DEFAULT_TIME_ZONE = _time_zone("CUSTOMER_DEFAULT_TIME_ZONE", default="UTC")

# ---------------------------------------------------------------- checkout and payments

# Where buyers may be sent back to: hosts, with their port where it is not the usual one.
CHECKOUT_RETURN_HOSTS = env.list(
    "CHECKOUT_RETURN_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", f"127.0.0.1:{PORT}"]
)
CHECKOUT_SUCCESS_URL = env.str("CHECKOUT_SUCCESS_URL", default=f"{BASE_URL}/")  # unless a checkout names its own
CHECKOUT_CANCEL_URL = env.str("CHECKOUT_CANCEL_URL", default=f"{BASE_URL}/")
GUEST_CHECKOUT = env.bool("GUEST_CHECKOUT", default=False)  # whoever has an e-mail address may buy a pack
CHECKOUT_EXPIRES_MINUTES = env.int("CHECKOUT_EXPIRES_MINUTES", default=60)  # until an unpaid checkout is taken back
CHECKOUT_CALL_SECONDS = env.int("CHECKOUT_CALL_SECONDS", default=120)  # longer than any call of a gateway takes
# How often an attempt is asked about whose page is open, by the times it was asked; the last pause is repeated. What is
# asked when nobody knows, GATEWAY_ASK_… say.
PAYMENT_WAIT_SECONDS = env.list("PAYMENT_WAIT_SECONDS", cast=int, default=[60, 300, 900, 3_600])
TOP_UP_SWEEP_SECONDS = env.int("TOP_UP_SWEEP_SECONDS", default=15)  # how soon a balance below the threshold is seen
TOP_UP_MOST_PER_DAY = env.int("TOP_UP_MOST_PER_DAY", default=5)  # charges of one customer in a day (UTC), come what may
TOP_UP_MOST_DECLINES = env.int("TOP_UP_MOST_DECLINES", default=3)  # in a row; then it waits for another card
# How long after a charge that failed the next one is tried: after the first, after the second …
TOP_UP_RETRY_SECONDS = [int(each) for each in env.list("TOP_UP_RETRY_SECONDS", default=["3600", "86400"])]
TOP_UP_MEND_URL = env.str("TOP_UP_MEND_URL", default="")  # where customers add a card; empty: our page of their cards
METHOD_PAGE_DAYS = env.int("METHOD_PAGE_DAYS", default=30)  # how long the link to that page in a letter opens it
METHOD_SWEEP_SECONDS = env.float("METHOD_SWEEP_SECONDS", default=60.0)  # cards whose page nobody came back from
PAYMENT_SWEEP_BATCH = env.int("PAYMENT_SWEEP_BATCH", default=100)
PAYMENT_ASK_SWEEP_SECONDS = env.float("PAYMENT_ASK_SWEEP_SECONDS", default=5.0)
PAYMENT_EXPIRE_SWEEP_SECONDS = env.float("PAYMENT_EXPIRE_SWEEP_SECONDS", default=60.0)
# When a checkout that could not be ended, since its gateway said nothing or its page is still open, comes up again.
PAYMENT_EXPIRE_AGAIN_SECONDS = env.int("PAYMENT_EXPIRE_AGAIN_SECONDS", default=300)

# ---------------------------------------------------------------- subscriptions

# Plans that we renew ourselves: days before the end of a period on which customers are reminded, and days after it on
# which its payment is started again. Whoever has not paid when the grace is over loses the plan.
RENEWAL_REMINDER_DAYS = env.list("RENEWAL_REMINDER_DAYS", cast=int, default=[3, 1, 0])
RENEWAL_TRY_DAYS = env.list("RENEWAL_TRY_DAYS", cast=int, default=[0, 1, 3, 5])
RENEWAL_GRACE_DAYS = env.int("RENEWAL_GRACE_DAYS", default=7)
RENEWAL_GATEWAY_GRACE_DAYS = env.int("RENEWAL_GATEWAY_GRACE_DAYS", default=21)  # while a gateway retries by itself
RENEWAL_PATIENCE_MINUTES = env.int("RENEWAL_PATIENCE_MINUTES", default=120)  # from the first try to "past due"
RENEWAL_SWEEP_SECONDS = env.float("RENEWAL_SWEEP_SECONDS", default=60.0)
RENEWAL_BATCH = env.int("RENEWAL_BATCH", default=200)
SUBSCRIPTION_GIFT_MOST_DAYS = env.int("SUBSCRIPTION_GIFT_MOST_DAYS", default=400)  # from today, by *Extend*
SUBSCRIPTION_INCOMPLETE_HOURS = env.int("SUBSCRIPTION_INCOMPLETE_HOURS", default=24)  # until one never paid is over
# What the old plan is still worth when somebody changes to a dearer one. `consumption` is the smaller of the time left
# and the share of its credits left, so that spending all and then upgrading pays for what was spent; `time` the former.
SUBSCRIPTION_PRORATION = _word("SUBSCRIPTION_PRORATION", "time", "consumption", default="consumption")

# ---------------------------------------------------------------- refunds

REFUND_POLICIES = ("unspent_only", "proportional", "full_with_debt", "goodwill")
REFUND_POLICY = _word("REFUND_POLICY", *REFUND_POLICIES, default="proportional")  # unless somebody chooses
# The money is gone already: no policy gives less of it back, or none.
REFUND_POLICY_MADE_AT_GATEWAY = _word(
    "REFUND_POLICY_MADE_AT_GATEWAY", "full_with_debt", "goodwill", default="full_with_debt"
)
REFUND_SURPLUS = env.bool("REFUND_SURPLUS", default=True)  # what was paid twice goes back by itself
# Up to this amount one operator may ask for a refund by hand and confirm it; other currencies always need two.
REFUND_ALONE_MINOR: dict[str, int] = env.json(
    "REFUND_ALONE_MINOR", default={"EUR": 5_000, "XOF": 30_000, "XAF": 30_000}
)
REFUND_RETRY_SECONDS = env.int("REFUND_RETRY_SECONDS", default=60)  # after its gateway was away
REFUND_ASK_HOURS = env.int("REFUND_ASK_HOURS", default=6)  # about one that takes longer than a day
# What a gateway charges for a dispute that was lost, by currency; nothing: it is not booked.
DISPUTE_FEE_MINOR: dict[str, int] = env.json("DISPUTE_FEE_MINOR", default={})
DISPUTE_FILE_MAX_BYTES = env.int("DISPUTE_FILE_MAX_BYTES", default=4_000_000)  # of a document that is sent to a bank
REFUND_SWEEP_SECONDS = env.float("REFUND_SWEEP_SECONDS", default=10.0)

# ---------------------------------------------------------------- payouts

PAYOUT_SWEEP_SECONDS = env.float("PAYOUT_SWEEP_SECONDS", default=10.0)
PAYOUT_SWEEP_BATCH = env.int("PAYOUT_SWEEP_BATCH", default=20)
PAYOUT_RETRY_SECONDS = env.int("PAYOUT_RETRY_SECONDS", default=60)  # after its gateway was away, or when none can
PAYOUT_ASK_HOURS = env.int("PAYOUT_ASK_HOURS", default=6)  # about one that takes longer than a day

# ---------------------------------------------------------------- invoices and tax

# Who sells, as invoices say it. SELLER_LEGAL_ID is the SIREN of a French company.
SELLER_NAME = env.str("SELLER_NAME", default="Tirelire")
SELLER_ADDRESS = env.str("SELLER_ADDRESS", default="")
SELLER_POSTCODE = env.str("SELLER_POSTCODE", default="")
SELLER_CITY = env.str("SELLER_CITY", default="")
SELLER_COUNTRY = env.str("SELLER_COUNTRY", default="FR")
SELLER_LEGAL_ID = env.str("SELLER_LEGAL_ID", default="")
SELLER_VAT_NUMBER = env.str("SELLER_VAT_NUMBER", default="")
SELLER_EMAIL = env.str("SELLER_EMAIL", default="")
SELLER_TIME_ZONE = _time_zone("SELLER_TIME_ZONE", default="Europe/Paris")  # its days and years are those of invoices
TAX_SCHEME = _word("TAX_SCHEME", "none", "franchise", "standard", default="none")  # franchise: art. 293 B CGI
TAX_ONE_STOP_SHOP = env.bool("TAX_ONE_STOP_SHOP", default=False)  # consumers in the EU pay their own country's rate
TAX_EXCLUSIVE_CATALOGUES = env.list("TAX_EXCLUSIVE_CATALOGUES", default=[])  # their prices are before tax
TAX_AT_USE_CATALOGUES = env.list(
    "TAX_AT_USE_CATALOGUES", default=[]
)  # their credits are taxed when used, not when sold
if both := sorted(set(TAX_EXCLUSIVE_CATALOGUES) & set(TAX_AT_USE_CATALOGUES)):
    raise ImproperlyConfigured(f"What is taxed at use has its tax in its prices: {', '.join(both)}.")
# Where an invoice of several lines rounds its tax.
TAX_ROUNDING = _word("TAX_ROUNDING", "line", "total", default="line")
# A VAT number of another country of the EU frees from tax once VIES has confirmed it; false: its check digits suffice.
VIES_REQUIRED = env.bool("VIES_REQUIRED", default=True)
VIES_URL = env.str("VIES_URL", default="https://ec.europa.eu/taxation_customs/vies/rest-api/check-vat-number")
VIES_TIMEOUT_SECONDS = env.float("VIES_TIMEOUT_SECONDS", default=10.0)
VIES_FRESH_DAYS = env.int("VIES_FRESH_DAYS", default=90)  # then it is asked again
VIES_RETRY_SECONDS = env.int("VIES_RETRY_SECONDS", default=900)  # after it was out of reach
VIES_SWEEP_SECONDS = env.float("VIES_SWEEP_SECONDS", default=60.0)
VIES_SWEEP_BATCH = env.int("VIES_SWEEP_BATCH", default=20)
INVOICE_PREFIX = env.str("INVOICE_PREFIX", default="")
CREDIT_NOTE_PREFIX = env.str("CREDIT_NOTE_PREFIX", default="CN-")
RECEIPT_PREFIX = env.str("RECEIPT_PREFIX", default="R-")
DETAILS_PAGE_MINUTES = env.int("DETAILS_PAGE_MINUTES", default=120)  # how long the link to a buyer's own form lasts
# What stands below an invoice that is to be paid. The default is what French law wants between companies.
INVOICE_PAYMENT_TERMS = env.str(
    "INVOICE_PAYMENT_TERMS",
    default="En cas de retard de paiement : pénalités à trois fois le taux de l'intérêt légal et indemnité forfaitaire"
    " de 40 € pour frais de recouvrement (art. L441-10 du code de commerce). Pas d'escompte.",
)
INVOICE_COLOUR = env.str("INVOICE_COLOUR", default="#1d4ed8")
INVOICE_LOGO = env.str("INVOICE_LOGO", default="")  # an SVG or PNG file; nothing: the seller's name
# Up to this amount an invoice may lack what it would otherwise have to say; other currencies know no such limit.
INVOICE_SIMPLIFIED_MINOR: dict[str, int] = env.json("INVOICE_SIMPLIFIED_MINOR", default={"EUR": 15_000})
INVOICE_SWEEP_SECONDS = env.float("INVOICE_SWEEP_SECONDS", default=5.0)
INVOICE_SWEEP_BATCH = env.int("INVOICE_SWEEP_BATCH", default=100)
INVOICE_LOOK_BACK_DAYS = env.int("INVOICE_LOOK_BACK_DAYS", default=7)  # older ones: manage.py issue_missing_invoices
INVOICE_RENDER_RETRY_SECONDS = env.int("INVOICE_RENDER_RETRY_SECONDS", default=60)  # doubled by each failure
INVOICE_RENDER_LONGEST_SECONDS = env.int("INVOICE_RENDER_LONGEST_SECONDS", default=21_600)
INVOICE_MAIL = env.bool("INVOICE_MAIL", default=False)  # every document is sent to its buyer once it is rendered
INVOICE_MAIL_TRIES = env.int("INVOICE_MAIL_TRIES", default=8)
INVOICE_MAIL_RETRY_SECONDS = env.int("INVOICE_MAIL_RETRY_SECONDS", default=120)  # doubled by each failure
INVOICE_USAGE_LOOK_BACK_MONTHS = env.int("INVOICE_USAGE_LOOK_BACK_MONTHS", default=3)
# The accounting file of the French tax office: one currency, its rates (units for one of it), and number and name of
# each account of the books, by the beginning of its name.
FEC_CURRENCY = env.str("FEC_CURRENCY", default="EUR")
FEC_RATES: dict[str, str] = env.json("FEC_RATES", default={"XOF": "655.957", "XAF": "655.957"})
FEC_ACCOUNTS: dict[str, list[str]] = env.json(
    "FEC_ACCOUNTS",
    default={
        "gateway:": ["517000", "Prestataires de paiement"],
        "revenue:packs": ["706100", "Ventes de crédits"],
        "revenue:plans": ["706200", "Abonnements"],
        "revenue:": ["706000", "Prestations de services"],
        "commission:": ["706300", "Commissions"],
        "vouchers:": ["487000", "Crédits vendus non utilisés"],
        "tax:": ["445710", "TVA collectée"],
        "fees:": ["627800", "Frais des prestataires de paiement"],
        "loss:": ["658000", "Gestes commerciaux et pertes"],
        "adjustments:": ["658100", "Ajustements"],
        "suspense:": ["471000", "Compte d'attente"],
        "wallet:": ["467000", "Vendeurs"],
    },
)
INVOICE_USAGE_SWEEP_SECONDS = env.float("INVOICE_USAGE_SWEEP_SECONDS", default=3600.0)  # months of what is taxed at use

# ---------------------------------------------------------------- the inbox of gateways' notifications

INBOX_WAKE_SECONDS = env.float("INBOX_WAKE_SECONDS", default=0.0 if APP_ENV == "test" else 0.05)  # between two calls
INBOX_BATCH = env.int("INBOX_BATCH", default=50)  # letters that a worker takes at a time
INBOX_LEASE_SECONDS = env.int("INBOX_LEASE_SECONDS", default=300)  # a worker that died gives its letters back
INBOX_RETRY_SECONDS = env.list("INBOX_RETRY_SECONDS", cast=int, default=[5, 30, 120, 600, 3_600, 21_600])
INBOX_DRAIN_SECONDS = env.int("INBOX_DRAIN_SECONDS", default=120)  # then a task leaves the rest to the next one
INBOX_PURGE_BATCH = env.int("INBOX_PURGE_BATCH", default=5_000)
INBOX_KEEP_DAYS = env.int("INBOX_KEEP_DAYS", default=90)
INBOX_KEEP_STRANGE_DAYS = env.int("INBOX_KEEP_STRANGE_DAYS", default=7)  # unsigned, and about nothing that we know
INBOX_SWEEP_SECONDS = env.float("INBOX_SWEEP_SECONDS", default=10.0)
INBOX_PROOFS_AT_ONCE = env.int("INBOX_PROOFS_AT_ONCE", default=2)  # threads of a process that ask a gateway for one
INBOX_MAX_BODY_BYTES = env.int("INBOX_MAX_BODY_BYTES", default=1_000_000)
# How often a gateway is asked what it could not bring, and how far back. Stripe keeps its events for 30 days.
UNDELIVERED_SWEEP_SECONDS = env.float("UNDELIVERED_SWEEP_SECONDS", default=900.0)
UNDELIVERED_DAYS = env.int("UNDELIVERED_DAYS", default=29)
# Networks from which a gateway writes, for example {"cinetpay": ["198.51.100.0/24"]}; nothing: from everywhere.
# Behind a proxy TRUSTED_PROXY_COUNT says whose word about the address counts.
INBOX_ALLOWED_NETWORKS: dict[str, list[str]] = env.json("INBOX_ALLOWED_NETWORKS", default={})

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

# ---------------------------------------------------------------- gateways

# On a laptop every gateway is the sandbox that `manage.py up` starts, with the sandbox's credentials; the tests start
# one of their own. A production has no defaults: a gateway without its credentials is not configured, and stops nobody.
_sandbox = f"http://127.0.0.1:{SANDBOX_PORT}"


def _of_sandbox(credential: str) -> str:
    return "" if PRODUCTION else credential


GATEWAY_CONNECT_TIMEOUT_SECONDS = env.float("GATEWAY_CONNECT_TIMEOUT_SECONDS", default=5.0)
GATEWAY_READ_TIMEOUT_SECONDS = env.float("GATEWAY_READ_TIMEOUT_SECONDS", default=30.0)
# Of calls behind which a bank or an operator thinks: captures, transfers.
GATEWAY_SLOW_READ_TIMEOUT_SECONDS = env.float("GATEWAY_SLOW_READ_TIMEOUT_SECONDS", default=60.0)
GATEWAY_REPLY_MAX_BYTES = env.int("GATEWAY_REPLY_MAX_BYTES", default=1_000_000)

STRIPE_LIVE_MODE = env.bool("STRIPE_LIVE_MODE", default=False)
STRIPE_API_VERSION = "2026-08-26.dahlia"
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="https://api.stripe.com" if PRODUCTION else f"{_sandbox}/stripe")
# Where files are sent that speak for us in a dispute.
STRIPE_FILES_BASE = env.str(
    "STRIPE_FILES_BASE", default="https://files.stripe.com" if PRODUCTION else f"{_sandbox}/stripe"
)
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default=_of_sandbox("sk_test_sandbox"))
STRIPE_PUBLISHABLE_KEY = env.str("STRIPE_PUBLISHABLE_KEY", default=_of_sandbox("pk_test_sandbox"))
# Several while one is rotated, and for a second endpoint.
STRIPE_WEBHOOK_SECRETS = env.list("STRIPE_WEBHOOK_SECRETS", default=[] if PRODUCTION else ["whsec_sandbox"])
STRIPE_WEBHOOK_TOLERANCE_SECONDS = env.int("STRIPE_WEBHOOK_TOLERANCE_SECONDS", default=300)
# Stripe Tax reckons what packs and plans bear on Stripe's pages; our invoices then carry its figures.
STRIPE_TAX = env.bool("STRIPE_TAX", default=False)
STRIPE_TAX_CODE = env.str("STRIPE_TAX_CODE", default="")  # of what is sold (txcd_…); empty: the account's own
if STRIPE_TAX and TAX_SCHEME != "standard":
    raise ImproperlyConfigured(f"STRIPE_TAX needs TAX_SCHEME=standard: with {TAX_SCHEME} nothing we sell bears tax.")
# The least that a charge may be; below it Stripe refuses. It converts into the account's currency, so these are advice.
STRIPE_MINIMUMS_MINOR: dict[str, int] = env.json(
    "STRIPE_MINIMUMS_MINOR",
    default=dict.fromkeys(("AUD", "BRL", "CAD", "CHF", "EUR", "INR", "JPY", "NZD", "SGD", "USD"), 50)
    | dict.fromkeys(("AED", "MYR", "PLN", "RON"), 200)
    | {"GBP": 30, "BGN": 100, "DKK": 250, "SEK": 300, "NOK": 300, "HKD": 400}
    | {"MXN": 1_000, "THB": 1_000, "CZK": 1_500, "HUF": 17_500},
)
# How long after an attempt began its request may still have come in: so long its lists are searched for a lost reply.
STRIPE_LOOKUP_WINDOW_SECONDS = env.int("STRIPE_LOOKUP_WINDOW_SECONDS", default=86_400)

PAYPAL_API_BASE = env.str("PAYPAL_API_BASE", default="https://api-m.paypal.com" if PRODUCTION else f"{_sandbox}/paypal")
PAYPAL_CLIENT_ID = env.str("PAYPAL_CLIENT_ID", default=_of_sandbox("sandbox-client"))
PAYPAL_CLIENT_SECRET = env.str("PAYPAL_CLIENT_SECRET", default=_of_sandbox("sandbox-secret"))
PAYPAL_WEBHOOK_ID = env.str("PAYPAL_WEBHOOK_ID", default=_of_sandbox("WHSANDBOX"))
PAYPAL_WEBHOOK_CHECK = _word("PAYPAL_WEBHOOK_CHECK", "offline", "ask", default="offline")  # ask: their verify call
# PayPal tries again for three days; whether with a new time is not documented.
PAYPAL_WEBHOOK_TOLERANCE_SECONDS = env.int("PAYPAL_WEBHOOK_TOLERANCE_SECONDS", default=345_600)
PAYPAL_BRAND_NAME = env.str("PAYPAL_BRAND_NAME", default="")  # what buyers read on PayPal's page; empty: the account's

CINETPAY_API = _word("CINETPAY_API", "checkout_v2", "v1", default="checkout_v2")  # the generation of the account
CINETPAY_API_BASE = env.str(
    "CINETPAY_API_BASE", default="https://api-checkout.cinetpay.com" if PRODUCTION else f"{_sandbox}/cinetpay"
)
CINETPAY_TRANSFER_API_BASE = env.str(
    "CINETPAY_TRANSFER_API_BASE", default="https://client.cinetpay.com" if PRODUCTION else f"{_sandbox}/cinetpay"
)
CINETPAY_API_KEY = env.str(
    "CINETPAY_API_KEY", default=_of_sandbox("sk_test_sandbox" if CINETPAY_API == "v1" else "sandbox-apikey")
)
CINETPAY_SITE_ID = env.str("CINETPAY_SITE_ID", default=_of_sandbox("123456"))  # checkout_v2
CINETPAY_SECRET_KEY = env.str(
    "CINETPAY_SECRET_KEY", default=_of_sandbox("sandbox-secret-key")
)  # checkout_v2: signs what it writes to us
CINETPAY_TRANSFER_PASSWORD = env.str(
    "CINETPAY_TRANSFER_PASSWORD", default=_of_sandbox("sandbox-transfer-password")
)  # checkout_v2: for payouts
CINETPAY_API_PASSWORD = env.str("CINETPAY_API_PASSWORD", default=_of_sandbox("sandbox-api-password"))  # v1
CINETPAY_V1_API_BASE = env.str(
    "CINETPAY_V1_API_BASE", default="https://api.cinetpay.co" if PRODUCTION else f"{_sandbox}/cinetpay"
)
CINETPAY_CURRENCIES = env.list("CINETPAY_CURRENCIES", default=["XOF", "XAF"])  # those of the account
CINETPAY_MAXIMUM = env.int("CINETPAY_MAXIMUM", default=2_500_000)  # whole units; the operators' limits
CINETPAY_PAYOUT_MINIMUM = env.int("CINETPAY_PAYOUT_MINIMUM", default=500)
CINETPAY_PAYOUT_MAXIMUM = env.int("CINETPAY_PAYOUT_MAXIMUM", default=1_500_000)
# Of receivers, and in v1 of buyers, who have told us none; CinetPay insists on one.
CINETPAY_CONTACT_EMAIL = env.str("CINETPAY_CONTACT_EMAIL", default="")
CINETPAY_LINK_MINUTES = env.int("CINETPAY_LINK_MINUTES", default=60)  # not documented; after it we call a link expired

MTN_MOMO_API_BASE = env.str(
    "MTN_MOMO_API_BASE", default="https://proxy.momoapi.mtn.com" if PRODUCTION else f"{_sandbox}/mtn_momo"
)
# mtncameroon, mtnivorycoast, mtnuganda …; `sandbox` for MTN's own sandbox, which knows EUR only.
# A laptop stands in Abidjan: the catalogues that `up` seeds are priced in XOF.
_mtn = ("mtnivorycoast", "XOF", "CI") if APP_ENV == "development" else ("mtncameroon", "XAF", "CM")
MTN_MOMO_TARGET_ENVIRONMENT = env.str("MTN_MOMO_TARGET_ENVIRONMENT", default=_of_sandbox(_mtn[0]))
MTN_MOMO_CURRENCY = env.str("MTN_MOMO_CURRENCY", default=_mtn[1])
MTN_MOMO_COUNTRY = env.str("MTN_MOMO_COUNTRY", default=_mtn[2])
MTN_MOMO_COLLECTION_KEY = env.str(
    "MTN_MOMO_COLLECTION_KEY", default=_of_sandbox("sandbox-collection-key")
)  # subscription key
MTN_MOMO_COLLECTION_USER = env.str(
    "MTN_MOMO_COLLECTION_USER", default=_of_sandbox("5b2c2a6e-7a1e-4a53-9b0e-3b1c6f0d8a11")
)
MTN_MOMO_COLLECTION_SECRET = env.str(
    "MTN_MOMO_COLLECTION_SECRET", default=_of_sandbox("sandbox-api-key")
)  # the "API key" of that user
MTN_MOMO_DISBURSEMENT_KEY = env.str("MTN_MOMO_DISBURSEMENT_KEY", default=_of_sandbox("sandbox-disbursement-key"))
MTN_MOMO_DISBURSEMENT_USER = env.str(
    "MTN_MOMO_DISBURSEMENT_USER", default=_of_sandbox("5b2c2a6e-7a1e-4a53-9b0e-3b1c6f0d8a11")
)
MTN_MOMO_DISBURSEMENT_SECRET = env.str("MTN_MOMO_DISBURSEMENT_SECRET", default=_of_sandbox("sandbox-api-key"))
MTN_MOMO_REFUNDS = env.bool("MTN_MOMO_REFUNDS", default=True)  # off where the market has not enabled them
MTN_MOMO_CALLBACKS = env.bool("MTN_MOMO_CALLBACKS", default=True)  # off if BASE_URL is not the registered callback host
MTN_MOMO_MINIMUM = env.int("MTN_MOMO_MINIMUM", default=100)  # whole units; the market's contract says
MTN_MOMO_MAXIMUM = env.int("MTN_MOMO_MAXIMUM", default=500_000)

ORANGE_MONEY_API_BASE = env.str(
    "ORANGE_MONEY_API_BASE", default="https://api.orange.com" if PRODUCTION else f"{_sandbox}/orange_money"
)
# ci, sn, ml, cm, bf …: the contract's path; `dev` for Orange's sandbox, where every amount is in OUV.
ORANGE_MONEY_ENVIRONMENT = env.str("ORANGE_MONEY_ENVIRONMENT", default=_of_sandbox("dev"))
ORANGE_MONEY_CURRENCY = env.str("ORANGE_MONEY_CURRENCY", default="XOF")
ORANGE_MONEY_COUNTRY = env.str("ORANGE_MONEY_COUNTRY", default="CI")
ORANGE_MONEY_CLIENT_ID = env.str("ORANGE_MONEY_CLIENT_ID", default=_of_sandbox("sandbox-client"))
ORANGE_MONEY_CLIENT_SECRET = env.str("ORANGE_MONEY_CLIENT_SECRET", default=_of_sandbox("sandbox-secret"))
ORANGE_MONEY_MERCHANT_KEY = env.str("ORANGE_MONEY_MERCHANT_KEY", default=_of_sandbox("sandbox-merchant-key"))
ORANGE_MONEY_SHOP_NAME = env.str("ORANGE_MONEY_SHOP_NAME", default="Tirelire")  # buyers read it, at most 30 letters
ORANGE_MONEY_MINIMUM = env.int("ORANGE_MONEY_MINIMUM", default=100)  # whole units; the contract says
ORANGE_MONEY_MAXIMUM = env.int("ORANGE_MONEY_MAXIMUM", default=1_500_000)

# ---------------------------------------------------------------- gateways that fail, and what is not known

# A breaker opens after so many failures one after the other within the window, and lets one call try after the pause.
GATEWAY_BREAKER_FAILURES = env.int("GATEWAY_BREAKER_FAILURES", default=5)
GATEWAY_BREAKER_WINDOW_SECONDS = env.int("GATEWAY_BREAKER_WINDOW_SECONDS", default=60)
GATEWAY_BREAKER_OPEN_SECONDS = env.int("GATEWAY_BREAKER_OPEN_SECONDS", default=30)
GATEWAY_BREAKER_PROBE_SECONDS = env.int("GATEWAY_BREAKER_PROBE_SECONDS", default=70)  # longer than the slowest call
GATEWAY_BREAKER_REDIS_TIMEOUT_SECONDS = env.float("GATEWAY_BREAKER_REDIS_TIMEOUT_SECONDS", default=0.25)
GATEWAY_BREAKER_REDIS_PAUSE_SECONDS = env.float("GATEWAY_BREAKER_REDIS_PAUSE_SECONDS", default=5.0)
GATEWAY_HEALTH_SECONDS = env.float("GATEWAY_HEALTH_SECONDS", default=30.0)  # how old an answer /health may give

# A call that surely did nothing is tried again under the same reference, after a random share of a growing wait.
GATEWAY_TRIES = env.int("GATEWAY_TRIES", default=3)  # the first one included; never more than 3
GATEWAY_RETRY_FIRST_SECONDS = env.float("GATEWAY_RETRY_FIRST_SECONDS", default=0.5)
GATEWAY_RETRY_LONGEST_SECONDS = env.float("GATEWAY_RETRY_LONGEST_SECONDS", default=5.0)

# When a gateway is asked about an outcome that nobody knows: seconds after the call; then every so often; then seldom.
GATEWAY_ASK_AFTER_SECONDS = env.list("GATEWAY_ASK_AFTER_SECONDS", cast=int, default=[2, 5, 15, 60])
GATEWAY_ASK_OFTEN_SECONDS = env.int("GATEWAY_ASK_OFTEN_SECONDS", default=300)
GATEWAY_ASK_OFTEN_UNTIL_SECONDS = env.int("GATEWAY_ASK_OFTEN_UNTIL_SECONDS", default=3_600)
GATEWAY_ASK_SELDOM_SECONDS = env.int("GATEWAY_ASK_SELDOM_SECONDS", default=3_600)
GATEWAY_ASK_UNTIL_SECONDS = env.int("GATEWAY_ASK_UNTIL_SECONDS", default=86_400)  # then it stands before operators
# When an attempt that expired or was given up is asked about once more: it may have been paid late.
GATEWAY_ASK_LATE_SECONDS = env.list("GATEWAY_ASK_LATE_SECONDS", cast=int, default=[900, 3_600, 86_400, 259_200])
# "Not found" proves that nothing was made only after a while, and said so often in a row.
GATEWAY_NOT_FOUND_PAYMENT_SECONDS = env.int("GATEWAY_NOT_FOUND_PAYMENT_SECONDS", default=120)
GATEWAY_NOT_FOUND_PAYOUT_SECONDS = env.int("GATEWAY_NOT_FOUND_PAYOUT_SECONDS", default=900)
GATEWAY_NOT_FOUND_ANSWERS = env.int("GATEWAY_NOT_FOUND_ANSWERS", default=3)

# ---------------------------------------------------------------- dj-stripe, the mirror of Stripe's objects

DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"  # never change: it is part of the schema
DJSTRIPE_SUBSCRIBER_CUSTOMER_KEY = None  # customers are linked by our own rows; this would write to Stripe
MIRROR_SWEEP_SECONDS = env.float("MIRROR_SWEEP_SECONDS", default=10.0)
MIRROR_MOST = env.int("MIRROR_MOST", default=500)  # events that one run follows at most
MIRROR_RETRY_SECONDS = env.list("MIRROR_RETRY_SECONDS", cast=int, default=[60, 600, 3_600, 21_600])

# ---------------------------------------------------------------- last: is this safe to run?

if PRODUCTION:
    safety.refuse_unsafe(globals())
