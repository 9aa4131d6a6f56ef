# The product's image: the one binary, on a base with the certificates that fetching keys over https needs.
#
#   docker build --tag roomcast .
#   docker run --rm --publish 8080:8080 --volume roomcast-data:/data roomcast
#
# Without further options this is the whole product in one process, its data in /data.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
# The caches stay out of the layers, and make the next build one of what changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    cargo build --locked --profile dist --package roomcast --target-dir /target \
    && install -D /target/dist/roomcast /out/roomcast

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data roomcast \
    && install --directory --owner roomcast /data
COPY --from=build /out/roomcast /usr/local/bin/roomcast
USER roomcast
VOLUME /data
EXPOSE 8080 9090
ENV ROOMCAST_DATA=/data ROOMCAST_LISTEN=0.0.0.0:8080 ROOMCAST_ADMIN=0.0.0.0:9090 ROOMCAST_LOG_FORMAT=json
# SIGTERM drains: give it longer than --drain-within before it is killed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/roomcast"]
