# Everpost and the proxy in front of it; see docker-compose.yml.

FROM rust:1.95-slim-trixie AS build
# The base image is pinned by its tag; within a release of Debian the packages should be the newest.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpq-dev libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock askama.toml ./
COPY config config
COPY migrations migrations
COPY src src
RUN cargo build --release --locked --bin everpost

# Caddy as a user of its own. The copy of the program loses the file capability of the original, which a container without
# capabilities could not even start.
FROM caddy:2 AS proxy
RUN addgroup -S -g 10002 caddy \
    && adduser -S -D -H -u 10002 -G caddy caddy \
    && cp /usr/bin/caddy /usr/bin/caddy-plain \
    && mv /usr/bin/caddy-plain /usr/bin/caddy \
    && chown -R caddy:caddy /data /config
COPY config/hosting/Caddyfile /etc/caddy/Caddyfile
USER 10002:10002

FROM debian:trixie-slim AS everpost
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libpq5 libssl3t64 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 everpost \
    && useradd --uid 10001 --gid everpost --no-create-home --home-dir /var/lib/everpost --shell /usr/sbin/nologin everpost \
    && install --directory --owner=everpost --group=everpost --mode=0700 /var/lib/everpost
COPY --from=build /src/target/release/everpost /usr/local/bin/everpost
COPY LICENSE /usr/share/doc/everpost/LICENSE
USER 10001:10001
WORKDIR /var/lib/everpost
VOLUME /var/lib/everpost
ENV EVERPOST_SERVER__BIND=0.0.0.0:8080 \
    EVERPOST_STORAGE__DATA_DIR=/var/lib/everpost
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["everpost"]
CMD ["serve"]
