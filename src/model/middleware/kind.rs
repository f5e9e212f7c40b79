//! The kinds of steps.

use crate::error::labels;

labels! { fn label;
    /// The kind of a step, as Traefik's object or the annotation names it: label `kind` of metrics, and in
    /// messages.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum StepKind {
        /// `headers`.
        Headers = "headers",
        /// `redirectScheme`.
        RedirectScheme = "redirectScheme",
        /// `redirectRegex`.
        RedirectRegex = "redirectRegex",
        /// `ipAllowList`.
        IpAllowList = "ipAllowList",
        /// `secret-header`.
        SecretHeader = "secret-header",
        /// `worker-zones`.
        WorkerZones = "worker-zones",
        /// `max-cdn-passes`.
        CdnPasses = "max-cdn-passes",
        /// `access`.
        Access = "access",
        /// `basicAuth`.
        BasicAuth = "basicAuth",
        /// `digestAuth`.
        DigestAuth = "digestAuth",
        /// `forwardAuth`.
        ForwardAuth = "forwardAuth",
        /// `stripPrefix`.
        StripPrefix = "stripPrefix",
        /// `stripPrefixRegex`.
        StripPrefixRegex = "stripPrefixRegex",
        /// `addPrefix`.
        AddPrefix = "addPrefix",
        /// `replacePath`.
        ReplacePath = "replacePath",
        /// `replacePathRegex`.
        ReplacePathRegex = "replacePathRegex",
        /// `rewrite-target`.
        RewriteTarget = "rewrite-target",
        /// `rateLimit`.
        RateLimit = "rateLimit",
        /// `inFlightReq`.
        InFlightReq = "inFlightReq",
        /// `buffering`.
        Buffering = "buffering",
        /// `compress`.
        Compress = "compress",
        /// `errors`.
        Errors = "errors",
        /// `error-pages`.
        ErrorPages = "error-pages",
        /// `retry`.
        Retry = "retry",
        /// `circuitBreaker`.
        CircuitBreaker = "circuitBreaker",
        /// `contentType`.
        ContentType = "contentType",
        /// `passTLSClientCert`.
        PassTlsClientCert = "passTLSClientCert",
        /// `client-certificate-headers`.
        ClientCertificateHeaders = "client-certificate-headers",
        /// `grpcWeb`.
        GrpcWeb = "grpcWeb",
        /// `noop`.
        Noop = "noop",
        /// Several Services.
        Services = "services",
    }
}
