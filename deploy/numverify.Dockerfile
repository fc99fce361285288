# numverify in an image of its own, without a system around it.
#
#   CGO_ENABLED=0 make build
#   docker build -f deploy/numverify.Dockerfile -t numverify .
#
# Mount the configuration at /etc/simbind and share /run/simbind (simbindd's
# socket) with it; its user needs the role "read" there. There are no system
# certificates: clients' jwks_uri and nats need theirs mounted at
# /etc/ssl/certs/ca-certificates.crt.
FROM scratch
COPY bin/numverify /usr/bin/
USER 65532:65532
ENTRYPOINT ["/usr/bin/numverify"]
CMD ["--config", "/etc/simbind/numverify.yaml"]
