# One node. `docker build -t quota-coordinator .`, then `docker run -p 8080:8080 -e QUOTA__REDIS__URL=… quota-coordinator`.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# Dependencies are a layer of their own: they change seldom.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it \
    && echo 'fn main() {}' > src/main.rs && touch src/lib.rs && echo 'fn main() {}' > tests/it/main.rs \
    && cargo build --release --locked && rm -rf src tests
COPY src src
COPY lua lua
COPY openapi openapi
# The placeholders are newer than the sources that replace them.
RUN mkdir -p tests/it && echo 'fn main() {}' > tests/it/main.rs \
    && touch src/main.rs src/lib.rs && cargo build --release --locked

# The C library and nothing else: no shell, no package manager, user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/quota-coordinator /usr/local/bin/quota-coordinator
ENV QUOTA__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/quota-coordinator"]
CMD ["serve"]
