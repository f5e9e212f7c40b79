# The image around a program that is already built: `ravelin` in the context, static, with its file capabilities
# set. deploy/image/build prepares it.
FROM scratch
COPY ravelin /ravelin
USER 65532:65532
# For `kubectl exec POD -- ravelin top`.
ENV PATH=/
ENTRYPOINT ["/ravelin"]
CMD ["run", "--config", "/etc/ravelin/ravelin.toml"]
