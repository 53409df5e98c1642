# Everpost for a container that has its database elsewhere; see docker-compose.yml.

FROM rust:1.95-slim-trixie AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpq-dev libssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock askama.toml ./
COPY config config
COPY migrations migrations
COPY src src
RUN cargo build --release --locked --bin everpost

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl libpq5 libssl3t64 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/everpost --shell /usr/sbin/nologin everpost \
    && install --directory --owner=everpost --group=everpost --mode=0700 /var/lib/everpost
COPY --from=build /src/target/release/everpost /usr/local/bin/everpost
COPY LICENSE /usr/share/doc/everpost/LICENSE
USER everpost
WORKDIR /var/lib/everpost
VOLUME /var/lib/everpost
ENV EVERPOST_SERVER__BIND=0.0.0.0:8080 \
    EVERPOST_STORAGE__DATA_DIR=/var/lib/everpost
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["everpost"]
CMD ["serve"]
