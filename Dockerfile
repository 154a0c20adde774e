# One image for all processes: `docker build -t talkdesk-operator .`
# The lock file has every hash, so what is tested is what is shipped.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/talkdesk-operator
COPY requirements.lock requirements-image.lock pyproject.toml README.md LICENSE ./
RUN /opt/talkdesk-operator/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-image.lock
COPY crds crds
COPY client client
COPY kube kube
COPY webhook webhook
COPY operator operator
COPY gateway gateway
COPY certify certify
COPY sandbox sandbox
COPY cli cli
COPY charts charts
# Only this stage sees the build backend; the wheel itself has no build dependencies of its own.
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock --target /opt/build \
 && PYTHONPATH=/opt/build /opt/talkdesk-operator/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/talkdesk-operator/bin/python -m compileall -q /opt/talkdesk-operator

FROM python:3.13-slim
COPY --from=build /opt/talkdesk-operator /opt/talkdesk-operator
ENV PATH=/opt/talkdesk-operator/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 65532:65532
ENTRYPOINT ["talkdesk-operator"]
