# The image around a program that is there already: `ravelin` in the context, static, and with its
# file capabilities set. deploy/image/build prepares that.
FROM scratch
COPY ravelin /ravelin
USER 65532:65532
ENTRYPOINT ["/ravelin"]
CMD ["run", "--config", "/etc/ravelin/ravelin.toml"]
