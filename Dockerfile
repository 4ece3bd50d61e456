# The program in an image of its own: `docker build -t taskyard .`, and see docs/deployment.md.
ARG RUST=1.95
ARG DEBIAN=bookworm

FROM rust:${RUST}-${DEBIAN} AS build
# `quick` builds several times faster, for a try.
ARG PROFILE=dist
WORKDIR /src
COPY . .
# What was downloaded and compiled before is kept beside the layers, and found again by the next build.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile "${PROFILE}" --package taskyard \
    && install -D --mode=755 "target/${PROFILE}/taskyard" /out/usr/local/bin/taskyard

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="taskyard" \
      org.opencontainers.image.description="A durable task system: server, worker and command line" \
      org.opencontainers.image.licenses="MIT"
# By number everywhere, so that volumes and clusters can rely on it.
RUN groupadd --gid 10001 taskyard \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/taskyard --create-home --shell /usr/sbin/nologin taskyard
# Whom tasks of kind `http`, and TLS to a database, trust.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out /
USER 10001:10001
WORKDIR /var/lib/taskyard
# ./taskyard.db, where --database names no other.
VOLUME /var/lib/taskyard
# Reached from outside of the container: a server wants TASKYARD_TOKEN then, or --no-auth.
ENV TASKYARD_LISTEN=0.0.0.0:8000
EXPOSE 8000
STOPSIGNAL SIGTERM
# Asks the server at 127.0.0.1:8000. A container that runs a worker has to say something else.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 CMD ["taskyard", "health"]
ENTRYPOINT ["taskyard"]
CMD ["serve"]
