# Coffer in one container: one process that serves, runs the jobs and keeps its data in /data.
#   docker build -t coffer . && docker run -p 5000:5000 -v coffer:/data coffer
FROM python:3.13-slim

# pg_dump and pg_restore, for backups of a PostgreSQL; SQLite comes with the Python packages.
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --system --uid 10001 --home-dir /data --create-home coffer
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .

USER coffer
ENV HOST=0.0.0.0 PORT=5000 INSTANCE_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/readyz', timeout=2)"]
# SIGTERM finishes the requests at work.
STOPSIGNAL SIGTERM
CMD ["python", "server.py"]
