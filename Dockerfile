# The image of web, stream, worker, beat and the migrate job: the same code, five commands.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv /opt/venv && /opt/venv/bin/pip install -r /tmp/requirements.txt

FROM python:3.11-slim
ARG BUILD_REVISION=""
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    APP_ENV=production \
    STATIC_ROOT=/app/static-collected \
    VAR_DIR=/var/lib/tirelire \
    PROMETHEUS_MULTIPROC_DIR=/run/tirelire-metrics \
    BUILD_REVISION=$BUILD_REVISION
RUN useradd --system --uid 10001 --home-dir /var/lib/tirelire --create-home tirelire \
    && install -d -o tirelire /run/tirelire-metrics
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
# The secrets of this step are made up, never stored, and good for nothing but passing the refusal to start.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
    && JWT_SECRET="$(python -c 'import secrets; print(secrets.token_urlsafe(50))')" \
    && export SECRET_KEY JWT_SECRET \
        DATABASE_URL=postgres://build@build.invalid/build REDIS_URL=redis://build.invalid \
        ALLOWED_HOSTS=build.invalid BASE_URL=https://build.invalid PROMETHEUS_MULTIPROC_DIR= \
    && python manage.py collectstatic --noinput \
    && python manage.py compile_translations \
    && python -m compileall -q /app
USER 10001
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "4", "--backpressure", "64", "--workers-kill-timeout", "30", "--respawn-failed-workers", "--log-level", "warning", "config.wsgi:application"]
