# Builds the controller as `make image` does, for those who build with a container engine:
#
#   docker build --build-arg VERSION=v0.1.0 --tag kuberik-controller .
#
# The published images come from `make image`, which needs no engine, and also holds the licences of all modules.
FROM --platform=${BUILDPLATFORM} golang:1.26 AS build
ARG VERSION=dev
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN mkdir -p /out/etc /out/licenses \
 && CGO_ENABLED=0 GOFLAGS= GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X github.com/kuberik/kuberik/internal/buildinfo.Version=${VERSION}" \
    -o /out/kuberik-controller ./cmd/kuberik-controller \
 && printf 'root:x:0:0:root:/:/sbin/nologin\nkuberik:x:65532:65532:kuberik:/:/sbin/nologin\n' > /out/etc/passwd \
 && printf 'root:x:0:\nkuberik:x:65532:\n' > /out/etc/group \
 && cp LICENSE /out/licenses/

FROM scratch
COPY --from=build /out /
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/kuberik-controller"]
