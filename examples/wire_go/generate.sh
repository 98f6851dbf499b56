#!/bin/sh
# Makes what is generated of pb/comment.proto; needs Python with grpcio-tools, and
# go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
set -eu
cd "$(dirname "$0")"
PATH="$(go env GOPATH)/bin:$PATH"
python -m grpc_tools.protoc --proto_path=pb --go_out=pb --go_opt=paths=source_relative \
    --descriptor_set_out=pb/comment.binpb --include_imports comment.proto
