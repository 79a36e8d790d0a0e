# The agent's image: one static program, nothing else, not root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY manifests manifests
COPY registry registry
COPY render render
COPY sync sync
ARG VERSION=devel
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /belay ./cmd/belay

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /belay /belay
USER 65532:65532
ENTRYPOINT ["/belay"]
CMD ["agent"]
